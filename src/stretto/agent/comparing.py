"""Compares two states of threads: messages added, changed or removed, and the other keys. Opens no store."""

from collections.abc import Mapping, Sequence
from typing import Any

from stretto._internal.plain import Plain


class ThreadDiff(Plain, frozen=True):
    """What differs between two tips; all is empty where nothing does."""

    added: list[Any]
    """Messages that only the second has."""
    removed: list[Any]
    """Messages that only the first has."""
    changed: list[tuple[Any, Any]]
    """Messages of the same id that differ."""
    keys: dict[str, tuple[Any, Any]]
    """State keys with the values of both; None for one that is not there."""


def compared(one: Mapping[str, Any], other: Mapping[str, Any]) -> ThreadDiff:
    """The way from the state `one` to the state `other`."""
    before, after = _by_id(one.get("messages") or ()), _by_id(other.get("messages") or ())
    keys = sorted((one.keys() | other.keys()) - {"messages"})
    return ThreadDiff(
        added=[message for id, message in after.items() if id not in before],
        removed=[message for id, message in before.items() if id not in after],
        changed=[(before[id], after[id]) for id in before if id in after and before[id] != after[id]],
        keys={key: (one.get(key), other.get(key)) for key in keys if one.get(key) != other.get(key)},
    )


def _by_id(messages: Sequence[Any]) -> dict[Any, Any]:
    return {getattr(message, "id", "") or index: message for index, message in enumerate(messages)}
