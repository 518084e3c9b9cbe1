import math
import random

import numpy as np
import pytest
from PIL import Image, ImageDraw

from stretto.errors import ModelError, ModelNotFound
from stretto.models.local import cache as local_cache
from stretto.models.local import efficientnet
from stretto.models.local.labels import features, labels

pulled = pytest.mark.skipif(
    not local_cache.installed("efficientnet-lite0"), reason="type: stretto models pull efficientnet-lite0"
)


def clock() -> Image.Image:
    image = Image.new("RGB", (480, 480), (200, 180, 150))
    draw = ImageDraw.Draw(image)
    draw.ellipse((60, 60, 420, 420), fill="white", outline="black", width=14)
    for hour in range(12):
        x, y = math.sin(hour * math.pi / 6), math.cos(hour * math.pi / 6)
        draw.line((240 + 150 * x, 240 - 150 * y, 240 + 170 * x, 240 - 170 * y), fill="black", width=8)
    draw.line((240, 240, 240, 110), fill="black", width=8)
    draw.line((240, 240, 330, 240), fill="black", width=10)
    return image


def crossword(seed: int) -> Image.Image:
    image, chance = Image.new("RGB", (480, 480), "white"), random.Random(seed)
    draw = ImageDraw.Draw(image)
    for x in range(0, 480, 40):
        for y in range(0, 480, 40):
            fill = "black" if chance.random() < 0.28 else "white"
            draw.rectangle((x, y, x + 40, y + 40), fill=fill, outline="black", width=2)
    return image


@pulled
@pytest.mark.slow
def test_a_drawn_clock_and_a_crossword_are_told():
    assert labels(clock())[0][0] == "analog clock"
    assert labels(crossword(3))[0][0] == "crossword"


@pulled
@pytest.mark.slow
def test_labels_come_best_first_each_once_with_chances():
    found = labels(clock(), 1000)
    chances = [chance for _, chance in found]
    assert chances == sorted(chances, reverse=True)
    assert math.isclose(sum(chances), 1, abs_tol=1e-3)
    assert len({name for name, _ in found}) == len(found) > 990
    assert labels(clock(), 3) == found[:3]


@pulled
@pytest.mark.slow
def test_features_of_like_pictures_are_alike():
    one, other, clock_face = features(crossword(3)), features(crossword(4)), features(clock())
    assert one.shape == (1280,) and math.isclose(float(np.linalg.norm(one)), 1, abs_tol=1e-5)
    assert one @ other > 0.8 > one @ clock_face + 0.2


@pulled
@pytest.mark.slow
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "CMYK", "I;16"])
def test_every_kind_of_pixels_and_shape_is_taken(mode):
    assert len(labels(Image.new(mode, (7, 300)), 2)) == 2


def test_without_the_model_the_command_is_named(cache):
    with pytest.raises(ModelNotFound, match="stretto models pull efficientnet-lite0"):
        labels(clock())


def test_a_checkpoint_of_another_network_is_refused(tmp_path, monkeypatch):
    (tmp_path / "other.pth").write_bytes(b"")
    monkeypatch.setattr(efficientnet, "read_tensors", lambda data: {"layer.weight": np.zeros(3)})
    with pytest.raises(ModelError, match=r"_conv_stem.*not EfficientNet-Lite0"):
        efficientnet.convert(tmp_path / "other.pth", tmp_path / "model.onnx")
