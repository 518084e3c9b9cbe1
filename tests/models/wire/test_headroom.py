import pytest

from stretto.models.protocol import Headroom
from stretto.models.wire.headroom import headroom_of


def reset(value):
    return headroom_of({"x-ratelimit-remaining-tokens": "5", "x-ratelimit-reset-tokens": value}).tokens_reset


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("1s", 1.0), ("6m0s", 360.0), ("120ms", 0.12), ("1h2m3.5s", 3723.5), ("1d", 86400.0), ("17", 17.0),
     ("0.25", 0.25), (" 2s ", 2.0), ("0s", 0.0), ("-3", 0.0), ("soon", None), ("", None), ("1x", None),
     ("1s and more", None), ("1767225600", None), ("nan", None), ("inf", None)],
)  # fmt: skip
def test_the_time_until_a_reset_is_read_in_every_usual_form(said, seconds):
    assert reset(said) == (None if seconds is None else pytest.approx(seconds))


def test_what_is_not_said_is_none():
    assert headroom_of({}) is None
    assert headroom_of({"x-ratelimit-reset-tokens": "1s"}) is None, "nothing is said to be left"
    assert headroom_of({"x-ratelimit-remaining-requests": "7"}) == Headroom(requests=7)


@pytest.mark.parametrize(
    ("said", "count"), [("7", 7), ("7.0", 7), ("-1", 0), ("many", None), ("inf", None), ("", None)]
)
def test_a_count_that_cannot_be_read_counts_as_not_said(said, count):
    assert headroom_of({"x-ratelimit-remaining-requests": said}) == Headroom(requests=count)
