"""Which items a filter means, and which namespaces a condition: as langgraph's own stores see it."""

from collections.abc import Callable, Mapping, Sequence
from operator import eq, ge, gt, le, lt, ne
from typing import Any, cast

from langgraph.store.base import MatchCondition

from stretto.errors import ConfigError

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": eq,
    "$ne": ne,
    "$gt": gt,
    "$gte": ge,
    "$lt": lt,
    "$lte": le,
}
_ORDERED = ("$gt", "$gte", "$lt", "$lte")


def matches(value: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether an item's value has all that is wanted of it.

    Raises:
        ConfigError: There is no such operator.
    """
    return all(_fits(value.get(key), each) for key, each in wanted.items())


def is_within(namespace: Sequence[str], conditions: Sequence[MatchCondition]) -> bool:
    """Whether a namespace begins, or ends, as all the conditions say; `*` stands for any label.

    Raises:
        ConfigError: There is no such condition.
    """
    return all(_meets(namespace, each) for each in conditions)


def _meets(namespace: Sequence[str], condition: MatchCondition) -> bool:
    path = condition.path
    if condition.match_type not in ("prefix", "suffix"):
        raise ConfigError(f"there is no condition `{condition.match_type}`; give `prefix` or `suffix`")
    if len(namespace) < len(path):
        return False
    found = namespace[: len(path)] if condition.match_type == "prefix" else namespace[-len(path) :]
    return not path or all(wanted in ("*", label) for label, wanted in zip(found, path, strict=True))


def _fits(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        inner = cast("Mapping[str, Any]", wanted)
        if any(key.startswith("$") for key in inner):
            return all(_holds(value, name, limit) for name, limit in inner.items())
        return isinstance(value, Mapping) and matches(cast("Mapping[str, Any]", value), inner)
    if isinstance(wanted, list | tuple):
        parts = cast("Sequence[Any]", wanted)
        if not isinstance(value, list | tuple):
            return False
        found = cast("Sequence[Any]", value)
        return len(found) == len(parts) and all(map(_fits, found, parts))
    return value == wanted


def _holds(value: Any, name: str, limit: Any) -> bool:
    if name not in _OPERATORS:
        raise ConfigError(f"there is no operator `{name}`; there are {', '.join(_OPERATORS)}")
    if name in _ORDERED:
        try:
            value, limit = float(value), float(limit)
        except (TypeError, ValueError):
            return False
    return _OPERATORS[name](value, limit)
