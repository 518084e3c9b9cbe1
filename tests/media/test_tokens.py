import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto.media.tokens import fitted, media_tokens, patch_tokens, picture_tokens, tile_tokens
from stretto.messages import Audio, File, Image
from stretto.settings import MediaRules


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


CLAUDE = MediaRules(max_pixels=1_200_000, formula="area")
GEMINI = MediaRules(max_side=3072, formula="crops", per_tile=258, per_page=258)


@pytest.mark.parametrize(
    ("rules", "size", "wanted"),
    [
        (MediaRules(), (1568, 1000), (1568, 1000)),
        (MediaRules(), (3136, 1000), (1568, 500)),
        (MediaRules(), (0, 0), (0, 0)),
        (MediaRules(), (20_000, 2), (1568, 1)),
        (MediaRules(max_side=2048, max_short=768), (4096, 8192), (768, 1536)),
        (MediaRules(max_side=2048, max_short=768), (600, 400), (600, 400)),
        (CLAUDE, (3000, 3000), (1095, 1095)),
    ],
)
def test_a_picture_is_sent_within_the_limits_of_its_model(
    rules: MediaRules, size: tuple[int, int], wanted: tuple[int, int]
):
    assert fitted(*size, rules) == wanted


@pytest.mark.parametrize(
    ("rules", "size", "tokens"),
    [
        (MediaRules(), (1024, 1024), 765),
        (MediaRules(formula="patches", factor=1.62), (1024, 1024), 1659),
        (CLAUDE, (1092, 1092), 1590),
        (GEMINI, (384, 384), 258),
        (GEMINI, (600, 400), 258),
        (GEMINI, (1536, 800), 4 * 258),
    ],
)
def test_each_formula_counts_what_its_vendor_published(rules: MediaRules, size: tuple[int, int], tokens: int):
    assert picture_tokens(*size, rules) == tokens


@pytest.mark.parametrize("rules", [MediaRules(), CLAUDE, GEMINI, MediaRules(formula="patches")])
def test_a_picture_whose_size_is_not_known_counts_the_most(rules: MediaRules):
    assert picture_tokens(0, 0, rules) >= picture_tokens(4000, 3000, rules)


@given(st.integers(1, 20_000), st.integers(1, 20_000), st.sampled_from([MediaRules(), CLAUDE, GEMINI]))
def test_no_picture_costs_more_in_low_detail_or_is_enlarged(width: int, height: int, rules: MediaRules):
    assert picture_tokens(width, height, rules, detail="low") <= picture_tokens(width, height, rules)
    small = fitted(width, height, rules)
    assert small[0] <= width
    assert small[1] <= height


def test_media_count_by_what_is_known_of_them_and_never_by_their_bytes():
    inline = Image.from_bytes(bytes(3_000_000), "image/png")
    assert media_tokens(inline) < 1200
    assert media_tokens(Image("media:x", width=512, height=512)) == 255
    assert media_tokens(Image("media:x", width=512, height=512, detail="low")) == 85
    assert media_tokens(Audio("media:x", seconds=90), GEMINI) == 90 * 32
    assert media_tokens(Audio("media:x")) == 60 * 32
    assert media_tokens(File("media:x", pages=4), GEMINI) == 4 * 258
    assert media_tokens(File("media:x")) == 3000
