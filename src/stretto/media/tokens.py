"""How many tokens a picture costs, by the two formulas that endpoints publish. Knows no model's name."""

from math import ceil


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
