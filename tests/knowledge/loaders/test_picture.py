import io

import pytest
from PIL import Image, ImageDraw, ImageFont

from stretto.errors import DamagedMedia, MediaError, MediaTooLarge
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.registry import load


def picture(text="", size=(640, 240)):
    image = Image.new("RGB", size, "white")
    if text:
        ImageDraw.Draw(image).text((40, 80), text, fill="black", font=ImageFont.load_default(48))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.slow
def test_a_pictures_text_says_how_it_was_made():
    pytest.importorskip("rapidocr")
    loaded = load(picture("ERROR CODE E12"), "screen.png", None, IngestLimits())
    assert loaded.text.startswith("# screen\n\nText in the picture, read by OCR:\n\nERROR CODE E12")
    assert "ocr" in loaded.metadata["made_by"] and loaded.media_type == "image/png"


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (picture(size=(200, 100))[:60], DamagedMedia),
        (b"GIF89a nothing", MediaError),
        (b"%PDF-1.7 nothing", MediaError),
        (picture(size=(300, 300)), MediaTooLarge),
    ],
)
def test_bad_pictures_fail_by_class(data, error):
    with pytest.raises(error):
        load(data, "x.png", None, IngestLimits(pixels=80_000))
