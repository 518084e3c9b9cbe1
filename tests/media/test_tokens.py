import pytest

from stretto.media.tokens import patch_tokens, tile_tokens


@pytest.mark.parametrize(
    ("size", "tokens"),
    [
        ((512, 512), 85 + 170),
        ((1024, 1024), 85 + 4 * 170),  # 768 x 768: 2 x 2 tiles
        ((2048, 4096), 85 + 6 * 170),  # 1024 x 2048, then 768 x 1536: 2 x 3 tiles
        ((4096, 8192), 85 + 6 * 170),
        ((1, 1), 85 + 170),
        ((0, 0), 85),
    ],
)
def test_tiles_follow_the_published_examples(size: tuple[int, int], tokens: int):
    assert tile_tokens(*size) == tokens


def test_low_detail_costs_the_base():
    assert tile_tokens(4000, 4000, detail="low") == 85


@pytest.mark.parametrize(
    ("size", "tokens"), [((1024, 1024), 1024), ((33, 32), 2), ((5000, 5000), 1536), ((0, 0), 0)]
)
def test_patches_are_counted_up_to_their_limit(size: tuple[int, int], tokens: int):
    assert patch_tokens(*size) == tokens


def test_a_factor_multiplies_patches():
    assert patch_tokens(1024, 1024, factor=1.62) == 1659
