"""The text in a picture, line by line in reading order: rapidocr on this machine. Fetches nothing.

Its models come with the package (extra `local`). One engine a process; calls wait for each other.
"""

import importlib
import threading
import warnings
from itertools import groupby
from typing import Any

import numpy as np
from PIL import Image

from stretto._internal.plain import Plain
from stretto.errors import MediaError, MissingExtra
from stretto.models.local.reading_order import Box, arrange, bounds

THREADS = 2
NARROW = 6
"""The reader scales the short side up to 736 pixels: at more than this ratio of the sides it is padded first,
or 3 x 900 pixels would become 160 million and take all memory."""
WIDE_GAP = 1.5
"""Heights of a line from which a gap in a row is shown as several blanks."""

_lock = threading.Lock()
_loaded: dict[int, Any] = {}


class Line(Plain, frozen=True):
    """One line of text. Columns and table cells are lines of their own."""

    text: str
    box: Box
    """x0, y0, x1, y1 in pixels of the picture."""
    score: float
    """How sure the reader is, 0..1."""
    block: int = 0
    """Lines of one paragraph, column or table share a number, from 0 in reading order."""
    row: int = 0
    """Lines beside each other share a number; counted through the whole picture."""


class PictureText(Plain, frozen=True):
    """What was read. Empty where the picture holds no text."""

    lines: tuple[Line, ...] = ()
    """In reading order."""

    @property
    def text(self) -> str:
        """All lines: a row a line, an empty line between blocks."""
        parts: list[str] = []
        for before, line in zip((None, *self.lines), self.lines, strict=False):
            if before is None:
                parts.append(line.text)
            elif line.row == before.row:
                gap = line.box[0] - before.box[2]
                wide = gap > WIDE_GAP * (line.box[3] - line.box[1])
                parts.append(("   " if wide else " ") + line.text)
            else:
                parts.append(("\n" if line.block == before.block else "\n\n") + line.text)
        return "".join(parts)

    def blocks(self, size: tuple[int, int]) -> list[tuple[str, Box]]:
        """Each block's text and box, in order.

        Args:
            size: Width and height of the picture; boxes are shares of them, from the top left.
        """
        width, height = size
        found: list[tuple[str, Box]] = []
        for _, lines in groupby(self.lines, key=lambda line: line.block):
            block = PictureText(tuple(lines))
            boxes = [line.box for line in block.lines]
            left, top = min(box[0] for box in boxes) / width, min(box[1] for box in boxes) / height
            right, bottom = max(box[2] for box in boxes) / width, max(box[3] for box in boxes) / height
            if block.text.strip():
                found.append((block.text.strip(), (left, top, right, bottom)))
        return found


def read_picture(image: Image.Image, *, threads: int = THREADS) -> PictureText:
    """Reads the text in a picture, in any common script. Bound to the CPU: call it in a thread.

    Args:
        image: the picture, upright; a tilt of some degrees does no harm.
        threads: CPU threads to use; another number than in the call before loads the models again.

    Raises:
        MissingExtra: rapidocr is not installed.
        MediaError: the picture cannot be read.
    """
    pixels = np.ascontiguousarray(np.asarray(_not_narrow(_on_white(image)))[:, :, ::-1])  # blue, green, red
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        engine = _engine(max(1, threads))
        try:
            found = engine(pixels)
        except Exception as error:  # whatever its libraries raise
            raise MediaError(f"The text in the picture could not be read ({type(error).__name__}).") from None
    if getattr(found, "boxes", None) is None or not found.txts:
        return PictureText()
    return _in_order(np.asarray(found.boxes, float).tolist(), list(found.txts), list(found.scores))


def _engine(threads: int) -> Any:
    if threads not in _loaded:
        try:
            rapidocr: Any = importlib.import_module("rapidocr")
        except ImportError:
            raise MissingExtra("Reading text in pictures", "local") from None
        settings = {
            "Global.log_level": "critical",
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
        _loaded.clear()
        _loaded[threads] = rapidocr.RapidOCR(params=settings)
    return _loaded[threads]


def _in_order(shapes: list[Any], texts: list[str], scores: list[float]) -> PictureText:
    lines: list[Line] = []
    row_number = 0
    for block_number, block in enumerate(arrange(shapes)):
        for row in block:
            for n in row:
                box = bounds(shapes[n])
                lines.append(Line(texts[n].strip(), box, float(scores[n]), block_number, row_number))
            row_number += 1
    return PictureText(tuple(lines))


def _on_white(image: Image.Image) -> Image.Image:
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image.convert("RGB")
    with_alpha = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, with_alpha).convert("RGB")


def _not_narrow(image: Image.Image) -> Image.Image:
    least = -(-max(image.size) // NARROW)
    if min(image.size) >= least:
        return image
    padded = Image.new("RGB", (max(image.width, least), max(image.height, least)), "white")
    padded.paste(image, (0, 0))
    return padded
