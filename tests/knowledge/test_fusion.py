import pytest

from stretto.knowledge.fusion import fuse


def test_both_legs_are_normalised_over_the_union():
    rows = fuse({"a": (0.9, 0.0), "b": (0.5, 10.0), "c": (0.1, 5.0)}, alpha=0.6)
    assert {key: score for key, score, *_ in rows} == pytest.approx({"a": 0.6, "b": 0.7, "c": 0.2})
    assert [row[0] for row in rows] == ["b", "a", "c"]
    assert rows[0][2:] == (0.5, 10.0)


def test_a_leg_that_says_nothing_adds_nothing():
    assert [row[1] for row in fuse({"a": (0.9, 0.0), "b": (0.1, 0.0)})] == pytest.approx([0.6, 0.0])
    assert fuse({"a": (0.9, 2.0)})[0][1] == pytest.approx(1.0)
    assert fuse({}) == []
