"""What a model is sent of media, and how many tokens that costs. Knows no model's name, and no base64.

The formulas are those that vendors publish; `MediaRules` says which of them holds for a model, and with which
figures. What nobody publishes is counted rather too high than too low.
"""

from math import ceil, sqrt

from stretto.messages import Audio, File, Image
from stretto.settings import MediaRules

LOW_SIDE = 512
"""The longest side, in pixels, of a picture that is asked for in low detail."""

UNKNOWN = MediaRules()
"""Of a model of which nothing is known."""


def fitted(width: int, height: int, rules: MediaRules = UNKNOWN, *, detail: str = "auto") -> tuple[int, int]:
    """The size at which a picture is sent, in pixels: its own, or scaled down to the limits of the rules."""
    if width <= 0 or height <= 0:
        return 0, 0
    side = min(rules.max_side, LOW_SIDE) if detail == "low" else rules.max_side
    scale = min(1.0, side / max(width, height))
    if rules.max_short:
        scale = min(scale, rules.max_short / min(width, height))
    if rules.max_pixels:
        scale = min(scale, sqrt(rules.max_pixels / (width * height)))
    return max(1, int(width * scale + 1e-6)), max(1, int(height * scale + 1e-6))


def picture_tokens(width: int, height: int, rules: MediaRules = UNKNOWN, *, detail: str = "auto") -> int:
    """Tokens of a picture of this size after it was fitted; of one whose size is not known, the most.

    Args:
        width: Pixels, after orientation; 0 where it is not known.
        height: Pixels, after orientation.
        rules: Of the model.
        detail: `"low"` costs less.
    """
    known = width > 0 and height > 0
    width, height = fitted(*((width, height) if known else (100_000, 100_000)), rules, detail=detail)
    if rules.formula == "patches":
        return patch_tokens(width, height, factor=rules.factor, at_most=rules.at_most)
    if rules.formula == "crops":
        return crop_tokens(width, height, per_tile=rules.per_tile)
    if rules.formula == "area":
        return area_tokens(width, height)
    return tile_tokens(width, height, detail=detail, base=rules.base, per_tile=rules.per_tile)


def media_tokens(part: Image | Audio | File, rules: MediaRules = UNKNOWN) -> int:
    """Tokens of a picture, recording or document for a model with these rules, wherever its bytes are.

    A recording whose length is not known counts a minute, a document without pages one page.
    """
    if isinstance(part, Image):
        return picture_tokens(part.width, part.height, rules, detail=part.detail)
    if isinstance(part, Audio):
        return ceil((part.seconds or 60.0) * rules.per_second)
    return max(part.pages, 1) * rules.per_page


def tile_tokens(width: int, height: int, *, detail: str = "auto", base: int = 85, per_tile: int = 170) -> int:
    """Tokens where a picture is cut into tiles of 512 pixels (the formula published for gpt-4o).

    The picture is first fitted into 2048 x 2048, then its short side to 768; never enlarged.

    Args:
        width: Pixels, after orientation.
        height: Pixels, after orientation.
        detail: `"low"` costs `base` alone.
        base: Tokens for any picture.
        per_tile: Tokens for each tile.
    """
    if detail == "low" or width <= 0 or height <= 0:
        return base
    scale = min(1.0, 2048 / max(width, height))
    scale = min(scale, 768 / min(width, height))
    return base + per_tile * ceil(round(width * scale, 6) / 512) * ceil(round(height * scale, 6) / 512)


def patch_tokens(width: int, height: int, *, factor: float = 1.0, at_most: int = 1536) -> int:
    """Tokens where a picture is cut into patches of 32 pixels (published for the gpt-4.1-mini class).

    Args:
        width: Pixels, after orientation.
        height: Pixels, after orientation.
        factor: The model's multiplier. The published ones are not always those that are charged: 1.62 is
            documented for gpt-5-mini, and users measured 1.2.
        at_most: Patches; a larger picture is scaled down to this many.
    """
    return ceil(min(ceil(width / 32) * ceil(height / 32), at_most) * factor)


def crop_tokens(width: int, height: int, *, per_tile: int = 258) -> int:
    """Tokens where a picture over 384 pixels is cropped into tiles of 768 (published for gemini-2.0)."""
    if max(width, height) <= 384:
        return per_tile
    return ceil(width / 768) * ceil(height / 768) * per_tile


def area_tokens(width: int, height: int) -> int:
    """Tokens where 750 pixels cost one (published for claude)."""
    return ceil(width * height / 750)
