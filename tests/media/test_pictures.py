import io
import random

import pytest
from PIL import Image
from tests.media import makers

from stretto.errors import MediaError, MediaTooLarge, UnsupportedMedia
from stretto.media.limits import MediaLimits
from stretto.media.pictures import MAX_SENT, for_model, open_picture


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_upright(orientation: int):
    sideways = orientation > 4
    with open_picture(makers.turned(orientation)) as image:
        assert image.size == ((30, 40) if sideways else (40, 30))
        corners = {
            name: image.getpixel(at)[0] > 128  # type: ignore[index]
            for name, at in {"left": (2, 15), "right": (37, 15), "top": (15, 2), "bottom": (15, 37)}.items()
            if at[0] < image.width and at[1] < image.height
        }
    red = {1: "left", 2: "right", 3: "right", 4: "left", 5: "top", 6: "top", 7: "bottom", 8: "bottom"}[
        orientation
    ]
    others = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}
    assert corners[red]
    assert not corners[others[red]]


@pytest.mark.parametrize(
    ("form", "mode", "result"),
    [
        ("PNG", "RGB", "RGB"),
        ("PNG", "RGBA", "RGBA"),
        ("PNG", "LA", "RGBA"),
        ("PNG", "P", "RGB"),
        ("PNG", "1", "L"),
        ("PNG", "L", "L"),
        ("PNG", "I;16", "L"),
        ("JPEG", "CMYK", "RGB"),
        ("TIFF", "F", "L"),
        ("TIFF", "I", "L"),
        ("GIF", "P", "RGB"),
    ],
)
def test_every_mode_becomes_one_of_three(form: str, mode: str, result: str):
    assert open_picture(makers.picture(form, mode=mode)).mode == result


def test_sixteen_bits_keep_their_shades():
    image = Image.new("I;16", (2, 1))
    image.putpixel((0, 0), 0x4000)
    image.putpixel((1, 0), 0xFFFF)
    out = io.BytesIO()
    image.save(out, "PNG")
    picture = open_picture(out.getvalue())
    assert abs(picture.getpixel((0, 0)) - 64) <= 1  # type: ignore[operator]
    assert picture.getpixel((1, 0)) == 255


def test_of_an_animation_the_first_frame_is_opened():
    assert open_picture(makers.animation(5)).getpixel((0, 0)) == (0, 0, 0)
    assert open_picture(makers.animation(300)).size == (8, 8)


def test_a_bomb_is_refused_before_it_is_decoded():
    import time

    started = time.process_time()
    with pytest.raises(MediaTooLarge):
        open_picture(makers.bomb(9000))
    taken = time.process_time() - started
    made = time.process_time()
    makers.bomb(9000)
    assert taken - (time.process_time() - made) < 0.2


def test_limits_count_from_above_only():
    data = makers.picture(size=(10, 10))
    assert open_picture(data, MediaLimits(pixels=100, bytes=len(data), frames=1)).size == (10, 10)
    with pytest.raises(MediaTooLarge):
        open_picture(data, MediaLimits(pixels=99))
    with pytest.raises(UnsupportedMedia, match="is no picture but text/plain"):
        open_picture(b"hello")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_what_fits_and_tells_nothing_passes_as_it_is(form: str):
    data = makers.picture(form)
    ready = for_model(data, 100)
    assert ready.data == data
    assert (ready.media_type, ready.width, ready.height) == (f"image/{form.lower()}", 40, 30)


def test_a_large_picture_is_scaled_to_the_longest_side():
    for form, kind in (("JPEG", "image/jpeg"), ("PNG", "image/png"), ("BMP", "image/png")):
        ready = for_model(makers.picture(form, (3136, 1568)), 1568)
        assert (ready.media_type, ready.width, ready.height) == (kind, 1568, 784)
        assert open_picture(ready.data).size == (1568, 784)


def test_metadata_does_not_leave():
    ready = for_model(makers.turned(1), 100)
    assert b"Camera of Ann" in makers.turned(1)
    assert b"Exif" not in ready.data
    assert b"Camera of Ann" not in ready.data
    from PIL.PngImagePlugin import PngInfo

    note = PngInfo()
    note.add_text("Author", "Ann of Home Street")
    assert b"Ann" not in for_model(makers.picture(pnginfo=note), 100).data


def test_transparency_stays_and_animations_become_one_frame():
    assert for_model(makers.picture("WEBP", (300, 200), "RGBA"), 100).media_type == "image/png"
    ready = for_model(makers.animation(3), 100)
    assert ready.media_type == "image/png"


def test_a_picture_too_large_without_loss_is_sent_as_jpeg():
    noise = Image.effect_noise((1600, 1600), 90).convert("RGB")
    out = io.BytesIO()
    noise.save(out, "BMP")
    ready = for_model(out.getvalue(), 1568)
    assert ready.media_type == "image/jpeg"
    assert len(ready.data) < 2 * MAX_SENT


def test_a_sliver_keeps_at_least_one_pixel():
    ready = for_model(makers.picture(size=(20_000, 2)), 100)
    assert (ready.width, ready.height) == (100, 1)


SAMPLES = {
    "png": makers.picture(),
    "jpeg": makers.picture("JPEG"),
    "exif": makers.turned(6),
    "gif": makers.animation(4),
    "apng": makers.animation(4, "PNG"),
    "webp": makers.picture("WEBP"),
    "bmp": makers.picture("BMP"),
    "tiff": makers.picture("TIFF"),
    "lzw": makers.picture("TIFF", compression="tiff_lzw"),
}


@pytest.mark.filterwarnings("ignore")  # Pillow warns about much that it then reads
@pytest.mark.parametrize("name", SAMPLES)
def test_whatever_is_damaged_only_our_errors_come_out(name: str):
    chance = random.Random(name)
    limits = MediaLimits(pixels=1_000_000)
    refused = 0
    for _ in range(150):
        data = bytearray(SAMPLES[name])
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data) if chance.random() < 0.5 else min(len(data), 120))] = (
                chance.randrange(256)
            )
        if chance.random() < 0.2:
            data = data[: chance.randrange(1, len(data))]
        try:
            open_picture(bytes(data), limits)
            for_model(bytes(data), 20, limits)
        except MediaError:
            refused += 1
    assert refused
