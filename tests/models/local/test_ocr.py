import importlib
import logging
import textwrap

import pytest
from PIL import Image, ImageDraw, ImageFont

from stretto.errors import MediaError, MissingExtra
from stretto.models.local import ocr
from stretto.models.local.ocr import Line, PictureText, read_picture

LEFT = (
    "Clean every blade before the first frost. Mud keeps water on the steel and that is what makes it rust."
)
RIGHT = "Hang tools up where the air can move. A damp shed floor ruins more handles than hard work ever does."
PRICES = [("Linseed oil", "9.80"), ("Whetstone", "14.50"), ("Stiff brush", "4.20")]


def page(mode: str = "RGB", background: str | tuple[int, ...] = "white") -> Image.Image:
    image = Image.new(mode, (1000, 560), background)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(22)
    draw.text(
        (180, 20),
        "Garden tools in winter: how to keep them well",
        font=ImageFont.load_default(30),
        fill="black",
    )
    for x, text in ((40, LEFT), (540, RIGHT)):
        for number, words in enumerate(textwrap.wrap(text, 36)):
            draw.text((x, 90 + 34 * number), words, font=font, fill="black")
    for number, (name, price) in enumerate(PRICES):
        draw.text((40, 360 + 50 * number), name, font=font, fill="black")
        draw.text((820, 360 + 50 * number), price, font=font, fill="black")
    return image


@pytest.fixture(scope="module")
def read() -> PictureText:
    pytest.importorskip("rapidocr", reason="the extra `local` is not installed")
    return read_picture(page())


@pytest.mark.slow
def test_a_page_is_read_title_first_then_column_by_column_then_row_by_row(read: PictureText):
    words = " ".join(read.text.split())
    order = [
        words.index(part)
        for part in ("Garden tools", "Clean every", "makes it rust", "Hang tools", "work ever")
    ]
    assert order == sorted(order)
    for name, price in PRICES:
        assert f"{name}   {price}" in read.text


@pytest.mark.slow
def test_each_line_tells_where_it_stands_and_how_sure_the_reader_is(read: PictureText):
    title = read.lines[0]
    assert 170 < title.box[0] < 190 and 10 < title.box[1] < 30 and title.box[2] < 900 and title.box[3] < 70
    assert all(0.5 <= line.score <= 1 for line in read.lines)
    assert [line.block for line in read.lines] == sorted(line.block for line in read.lines)
    assert [line.row for line in read.lines] == sorted(line.row for line in read.lines)


@pytest.mark.slow
def test_a_transparent_ground_is_white_and_nothing_is_logged(read: PictureText, caplog, capfd):
    with caplog.at_level(logging.DEBUG):
        found = read_picture(page("RGBA", (0, 0, 0, 0)))
    assert found.text.split() == read.text.split()
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.slow
@pytest.mark.parametrize("size", [(64, 64), (1, 1)])
def test_a_picture_without_text_gives_no_lines(read: PictureText, size):
    assert read_picture(Image.new("L", size, 200)) == PictureText()


@pytest.mark.parametrize(
    ("size", "seen"), [((3, 900), (150, 900)), ((9000, 1), (9000, 1500)), ((90, 500), (90, 500))]
)
def test_a_narrow_picture_is_padded_so_that_scaling_it_up_cannot_take_all_memory(monkeypatch, size, seen):
    shapes = []
    monkeypatch.setattr(ocr, "_loaded", {ocr.THREADS: lambda pixels: shapes.append(pixels.shape)})
    assert read_picture(Image.new("L", size, 200)) == PictureText()
    assert shapes == [(seen[1], seen[0], 3)]


def test_rows_and_blocks_are_seen_in_the_text():
    lines = (
        Line("Total", (0, 0, 50, 20), 1.0, 0, 0),
        Line("EUR", (55, 0, 90, 20), 1.0, 0, 0),
        Line("74.40", (300, 0, 350, 20), 1.0, 0, 0),
        Line("Paid", (0, 30, 50, 50), 1.0, 0, 1),
        Line("Thank you", (0, 120, 90, 140), 1.0, 1, 2),
    )
    assert PictureText(lines).text == "Total EUR   74.40\nPaid\n\nThank you"
    assert PictureText().text == ""


def test_a_missing_package_names_the_extra(monkeypatch):
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    monkeypatch.setattr(ocr, "_loaded", {})
    with pytest.raises(MissingExtra, match=r'pip install "stretto\[local\]"'):
        read_picture(Image.new("RGB", (40, 40)))


def test_a_failure_inside_the_reader_is_an_error_of_ours(monkeypatch):
    def failing(pixels: object) -> None:
        raise RuntimeError("internal detail")

    monkeypatch.setattr(ocr, "_loaded", {ocr.THREADS: failing})
    with pytest.raises(MediaError, match=r"could not be read \(RuntimeError\)"):
        read_picture(Image.new("RGB", (40, 40)))
