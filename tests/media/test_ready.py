"""ReadyPictures: what is kept, for how long, and how much."""

import time

import pytest

from stretto.media.ready import LINK, Ready, ReadyPictures

SMALL, LARGE = (512, 0, 0), (1568, 0, 0)


def picture(size: int) -> Ready:
    return Ready("x" * size, "image/png", 1, 1, as_stored=True)


def test_a_picture_is_found_for_the_limits_it_was_made_for():
    ready = ReadyPictures()
    ready.keep("media:a", LARGE, picture(10))
    assert ready.find("media:a", LARGE) == picture(10)
    assert ready.find("media:a", SMALL) is None


def test_those_that_were_not_used_for_longest_go_first():
    ready = ReadyPictures(most=30)
    for name in "abc":
        ready.keep(name, LARGE, picture(10))
    ready.find("a", LARGE)
    ready.keep("d", LARGE, picture(10))
    assert [name for name in "abcd" if ready.find(name, LARGE)] == ["a", "c", "d"]


def test_one_that_is_larger_than_all_may_be_is_not_kept():
    ready = ReadyPictures(most=30)
    ready.keep("a", LARGE, picture(10))
    ready.keep("b", LARGE, picture(31))
    assert ready.find("b", LARGE) is None
    ready.keep("c", LARGE, picture(30))
    assert ready.find("c", LARGE)


def test_keeping_again_counts_once():
    ready = ReadyPictures(most=30)
    for _ in range(5):
        ready.keep("a", LARGE, picture(20))
    ready.keep("b", LARGE, picture(10))
    assert ready.find("a", LARGE)
    assert ready.find("b", LARGE)


def test_what_is_forgotten_is_gone_in_every_size():
    ready = ReadyPictures()
    for limits in (SMALL, LARGE):
        ready.keep("a", limits, picture(10))
    ready.keep_link("a", "https://objects.example/a")
    ready.forget("a")
    assert (ready.find("a", SMALL), ready.find("a", LARGE), ready.link("a")) == (None, None, None)


def test_a_link_is_given_again_for_half_of_the_time_it_works(monkeypatch: pytest.MonkeyPatch):
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    ready = ReadyPictures()
    ready.keep_link("a", "https://objects.example/a")
    now[0] += LINK / 2 - 1
    assert ready.link("a") == "https://objects.example/a"
    now[0] += 2
    assert ready.link("a") is None
