"""Filters and conditions of langgraph's Store, case by case."""

from typing import Any

import pytest
from langgraph.store.base import MatchCondition

from stretto.errors import ConfigError
from stretto.threads.checkpoint.matching import is_within, matches

VALUE = {"n": 2, "name": "tea", "deep": {"hot": True, "sort": {"x": 1}}, "tags": ["a", {"b": 1}]}


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ({}, True),
        ({"n": 2}, True),
        ({"n": 3}, False),
        ({"other": None}, True),
        ({"n": {"$gt": 1, "$lte": 2}}, True),
        ({"n": {"$lt": 2}}, False),
        ({"n": {"$eq": 2}, "name": {"$ne": "wine"}}, True),
        ({"name": {"$gt": 1}}, False),
        ({"other": {"$gte": 1}}, False),
        ({"deep": {"hot": True}}, True),
        ({"deep": {"sort": {"x": 2}}}, False),
        ({"name": {"hot": True}}, False),
        ({"tags": ["a", {"b": 1}]}, True),
        ({"tags": ["a"]}, False),
        ({"name": ["t", "e", "a"]}, False),
    ],
)
def test_a_value_fits_or_does_not(wanted: dict[str, Any], fits: bool) -> None:
    assert matches(VALUE, wanted) is fits


@pytest.mark.parametrize(
    ("kind", "path", "fits"),
    [
        ("prefix", (), True),
        ("prefix", ("a", "b"), True),
        ("prefix", ("b",), False),
        ("prefix", ("*", "b"), True),
        ("suffix", ("c",), True),
        ("suffix", ("b", "*"), True),
        ("suffix", (), True),
        ("suffix", ("x", "a", "b", "c"), False),
    ],
)
def test_a_namespace_meets_a_condition_or_does_not(kind: Any, path: tuple[str, ...], fits: bool) -> None:
    assert is_within(("a", "b", "c"), [MatchCondition(kind, path)]) is fits


def test_what_no_store_knows_is_refused() -> None:
    kind: Any = "infix"
    with pytest.raises(ConfigError, match="no condition `infix`; give `prefix` or `suffix`"):
        is_within(("a",), [MatchCondition(kind, ("a",))])
    with pytest.raises(ConfigError, match=r"no operator `\$like`; there are \$eq"):
        matches(VALUE, {"name": {"$like": "t"}})
