"""What a picture shows, as one of 1,000 labels: EfficientNet-Lite0 on this machine. Reads no text.

The labels are those of ImageNet: things, animals, food, places; no persons, no documents.
"""

import functools
import json

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stretto.models.local.cache import path_of
from stretto.models.local.sessions import THREADS, session

MODEL = "efficientnet-lite0"
SIDE, BEFORE_CROP = 224, 256


def labels(image: Image.Image, top: int = 5, *, threads: int = THREADS) -> list[tuple[str, float]]:
    """The likeliest labels with their probabilities (0..1), best first.

    Args:
        image: the picture, upright; its middle square is looked at.
        top: how many labels.
        threads: CPU threads to use.

    Raises:
        ModelNotFound: the model was not pulled.
    """
    chances: dict[str, float] = {}  # a few classes share a label
    for name, chance in zip(_names(), _run(image, "probabilities", threads).tolist(), strict=True):
        chances[name] = chances.get(name, 0.0) + chance
    return sorted(chances.items(), key=lambda pair: -pair[1])[:top]


def features(image: Image.Image, *, threads: int = THREADS) -> NDArray[np.float32]:
    """1,280 numbers of length 1 that are alike for pictures that look alike.

    Raises:
        ModelNotFound: the model was not pulled.
    """
    vector = _run(image, "features", threads)
    return vector / max(float(np.linalg.norm(vector)), 1e-12)


def _run(image: Image.Image, output: str, threads: int) -> NDArray[np.float32]:
    return session(path_of(MODEL), threads).run([output], {"picture": _pixels(image)})[0][0]


def _pixels(image: Image.Image) -> NDArray[np.float32]:
    """The middle square, 224 x 224, as (1, 3, 224, 224) in about -1..1."""
    width, height = image.size
    side = min(width, height) * SIDE / BEFORE_CROP
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side)
    square = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box, reducing_gap=2.0)
    pixels = (np.asarray(square, np.float32) - 127) / 128
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)


@functools.cache
def _names() -> list[str]:
    return json.loads(path_of(MODEL, "labels.json").read_text("utf-8"))
