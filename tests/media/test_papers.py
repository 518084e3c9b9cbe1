import pytest
from tests.media import makers

from stretto.errors import MediaTooLarge
from stretto.media.limits import MediaLimits
from stretto.media.papers import count_pages


def test_pages_are_counted_up_to_the_limit():
    assert count_pages(makers.pdf(3), MediaLimits(pages=3)) == 3
    with pytest.raises(MediaTooLarge, match="3 pages; allowed are 2"):
        count_pages(makers.pdf(3), MediaLimits(pages=2))
