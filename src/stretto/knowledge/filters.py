"""`where`: one language that says which passages may be found, for both legs of a search. Knows no index.

    {"lang": "en", "year": {"$gte": 2020, "$lt": 2024}}            all keys have to fit
    {"$or": [{"team": {"$in": ["sales", "care"]}}, {"$not": {"draft": True}}]}

A key is one of the passage's metadata, else of its document's, else what the manifest knows: `document`
(the id), `title`, `source`, `media_type`, `version`, `page`, `headings`, `sheet`, `taint`. Where a value is a
list, one of its items has to fit. What is not there equals None and is in no range.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from stretto.documents import Chunk, Document
from stretto.errors import ConfigError

Test = Callable[[Chunk, Document], bool]
Compare = Callable[[Any], bool]

_OF_CHUNK = frozenset(
    {"page", "headings", "sheet", "taint", "version", "region", "repeated", "media", "chunk"}
)
_OF_DOCUMENT = ("title", "source", "media_type", "version")
_RANGES: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": lambda value, limit: value > limit,
    "$gte": lambda value, limit: value >= limit,
    "$lt": lambda value, limit: value < limit,
    "$lte": lambda value, limit: value <= limit,
}
_COMPARES = {"$eq", "$ne", "$in", "$nin", *_RANGES}
_ALLOWED = "$eq, $ne, $in, $nin, $gt, $gte, $lt, $lte, and above keys $and, $or, $not"
_DEPTH = 20


class Filter:
    """A `where` that was understood; raises ConfigError for one that cannot be."""

    def __init__(self, where: Mapping[str, Any]) -> None:
        self._keys: set[str] = set()
        self._test = self._all(where, 0)
        self.key = json.dumps(where, sort_keys=True, default=repr)
        """Equal for equal filters."""

    @property
    def on_documents(self) -> bool:
        """Whether all passages of a document fit or none does."""
        return not self._keys & _OF_CHUNK

    def fits(self, chunk: Chunk, document: Document) -> bool:
        """Whether the passage may be found."""
        return self._test(chunk, document)

    def _all(self, where: Any, depth: int) -> Test:
        if not isinstance(where, Mapping):
            raise ConfigError(
                f"`where` has a {type(where).__name__}: {where!r}; give a dict like {{'document': 'a.md'}}"
            )
        if depth > _DEPTH:
            raise ConfigError(f"`where` is nested deeper than {_DEPTH} levels")
        given = cast("Mapping[str, Any]", where)
        tests = [self._one(key, value, depth) for key, value in given.items()]
        return lambda chunk, document: all(test(chunk, document) for test in tests)

    def _one(self, key: str, value: Any, depth: int) -> Test:
        if key in ("$and", "$or"):
            if not isinstance(value, list | tuple) or not value:
                raise ConfigError(f"`{key}` in `where` is {value!r}; give a list of filters")
            parts = [self._all(part, depth + 1) for part in cast("Sequence[Any]", value)]
            every = all if key == "$and" else any
            return lambda chunk, document: every(part(chunk, document) for part in parts)
        if key == "$not":
            inner = self._all(value, depth + 1)
            return lambda chunk, document: not inner(chunk, document)
        if not isinstance(key, str) or key.startswith("$"):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"`where` has `{key}`; allowed are keys of the metadata, and {_ALLOWED}")
        self._keys.add(key)
        compares = _compares(key, value)
        return lambda chunk, document: _holds(compares, _value(key, chunk, document))


def _holds(compares: Sequence[Compare], value: Any) -> bool:
    return all(compare(value) for compare in compares)


def _value(key: str, chunk: Chunk, document: Document) -> Any:
    if key == "document":
        return document.id
    for metadata in (chunk.metadata, document.metadata):
        if key in metadata:
            return metadata[key]
    if key in _OF_DOCUMENT:
        return getattr(document, key)
    if key in ("page", "headings", "sheet", "taint"):
        return getattr(chunk, key)
    return chunk.id if key == "chunk" else None


def _compares(key: str, wanted: Any) -> list[Compare]:
    if not isinstance(wanted, Mapping):
        return [_equals(wanted)]
    rules = cast("Mapping[str, Any]", wanted)
    if not any(name.startswith("$") for name in rules):
        meant = next((f"${name}" for name in rules if f"${name}" in _COMPARES), None)
        if meant:
            raise ConfigError(
                f"`where` has `{meant[1:]}` for `{key}`; write `{meant}`, or `$eq` and the whole"
            )
        return [_equals(dict(rules))]
    return [_compare(key, name, value) for name, value in rules.items()]


def _compare(key: str, name: str, wanted: Any) -> Compare:
    if name in ("$eq", "$ne"):
        equal = _equals(wanted)
        return equal if name == "$eq" else lambda value: not equal(value)
    if name in ("$in", "$nin"):
        if not isinstance(wanted, list | tuple | set | frozenset):
            raise ConfigError(f"`{name}` of `{key}` in `where` is {wanted!r}; give a list")
        equals = [_equals(one) for one in cast("Sequence[Any]", wanted)]
        if name == "$in":
            return lambda value: any(equal(value) for equal in equals)
        return lambda value: not any(equal(value) for equal in equals)
    if name in _RANGES:
        if isinstance(wanted, bool) or not isinstance(wanted, int | float | str):
            raise ConfigError(f"`{name}` of `{key}` in `where` is {wanted!r}; give a number or a text")
        return _ranged(_RANGES[name], wanted)
    raise ConfigError(f"`where` has `{name}` for `{key}`; allowed are {_ALLOWED}")


def _equals(wanted: Any) -> Compare:
    def equal(value: Any) -> bool:
        if isinstance(value, list | tuple) and not isinstance(wanted, list | tuple):
            return any(_same(one, wanted) for one in cast("Sequence[Any]", value))
        return _same(value, wanted)

    return equal


def _same(value: Any, wanted: Any) -> bool:
    if isinstance(value, bool) != isinstance(wanted, bool):
        return False
    if isinstance(value, tuple) and isinstance(wanted, list):
        return list(cast("Sequence[Any]", value)) == wanted
    return value == wanted


def _ranged(rule: Callable[[Any, Any], bool], limit: float | str) -> Compare:
    def one(value: Any) -> bool:
        alike = isinstance(value, str) if isinstance(limit, str) else isinstance(value, int | float)
        return alike and not isinstance(value, bool) and rule(value, limit)

    def within(value: Any) -> bool:
        if isinstance(value, list | tuple):
            return any(one(item) for item in cast("Sequence[Any]", value))
        return one(value)

    return within
