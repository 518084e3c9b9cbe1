"""JSON and JSON Lines: lists of records as tables, objects as headings with `key: value` below."""

import json
from collections.abc import Iterator
from typing import Any, cast

from stretto.errors import DamagedMedia
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.assembly import Assembly
from stretto.knowledge.loaders.protocol import Loaded
from stretto.knowledge.loaders.text import decode, noted, title_from

_DEEPEST_HEADING = 4
_COLUMNS = 30
_NESTING = 200


def load_json(data: bytes, name: str, limits: IngestLimits) -> Loaded:
    """A JSON file. One that breaks off is kept as it stands, with a warning.

    Raises:
        DamagedMedia: It nests deeper than any file that people write.
    """
    found = decode(data, name)
    assembly = Assembly(name, limits)
    for warning in found.warnings:
        assembly.warn(warning)
    assembly.heading(title_from(name), 1)
    _check_depth(found.text, name)
    try:
        value = json.loads(found.text)
    except ValueError as error:
        assembly.warn(f"it is no whole JSON ({error}); it is kept as text")
        assembly.code(found.text)
    else:
        _write(value, assembly, 2)
    return assembly.loaded(title_from(name), "application/json", **noted(found.encoding))


def load_json_lines(data: bytes, name: str, limits: IngestLimits) -> Loaded:
    """One JSON value a line; a broken line is kept as text, with a warning."""
    found = decode(data, name)
    assembly = Assembly(name, limits)
    for warning in found.warnings:
        assembly.warn(warning)
    assembly.heading(title_from(name), 1)
    values: list[Any] = []
    broken: list[str] = []
    for line in found.text.split("\n"):
        if not line.strip():
            continue
        try:
            _check_depth(line, name)
            values.append(json.loads(line))
        except ValueError:
            broken.append(line)
    _write(values, assembly, 2)
    if broken:
        assembly.warn(f"{len(broken):,} lines are no JSON; they are kept as text")
        assembly.code("\n".join(broken))
    return assembly.loaded(title_from(name), "application/jsonl", **noted(found.encoding))


def _check_depth(text: str, name: str) -> None:
    """Refuses nesting that only an attack has, before the parser meets it."""
    depth = 0
    for mark in text:
        if mark in "[{":
            depth += 1
            if depth > 10 * _NESTING:
                raise DamagedMedia(f"`{name}` nests more than {10 * _NESTING:,} levels deep")
        elif mark in "]}":
            depth -= 1


def _write(value: Any, assembly: Assembly, level: int) -> None:
    if isinstance(value, list):
        _write_list(cast("list[Any]", value), assembly)
    elif isinstance(value, dict):
        plain = {key: each for key, each in cast("dict[str, Any]", value).items() if _is_plain(each)}
        if plain:
            assembly.text("\n".join(_line(key, each) for key, each in plain.items()))
        for key, each in cast("dict[str, Any]", value).items():
            if key in plain:
                continue
            if level <= _DEEPEST_HEADING:
                assembly.heading(key, level)
                _write(each, assembly, level + 1)
            else:
                assembly.text("\n".join(_flat(each, key)))
    else:
        assembly.text(_shown(value))


def _write_list(values: list[Any], assembly: Assembly) -> None:
    columns = _columns(values)
    if columns:
        rows = ([_shown(record.get(column)) for column in columns] for record in values)
        assembly.table([columns, *rows])
        return
    for value in values:
        if isinstance(value, dict | list):
            assembly.text("\n".join(_flat(value, "")))
        else:
            assembly.text(f"- {_shown(value)}", follows=True)


def _columns(values: list[Any]) -> list[str]:
    """The columns of a list of flat records; empty where it is none."""
    columns: dict[str, None] = {}
    for value in values:
        if not isinstance(value, dict) or not all(map(_is_plain, cast("dict[str, Any]", value).values())):
            return []
        columns.update(dict.fromkeys(cast("dict[str, Any]", value)))
        if len(columns) > _COLUMNS:
            return []
    return list(columns) if len(values) > 1 else []


def _flat(value: Any, path: str) -> Iterator[str]:
    """Each plain value below `value` as `path.to.it: value`, in order."""
    stack: list[tuple[str, Any]] = [(path, value)]
    while stack:
        here, each = stack.pop()
        if _is_plain(each):
            yield _line(here, each)
            continue
        children = (
            list(cast("dict[str, Any]", each).items())
            if isinstance(each, dict)
            else [("", child) for child in cast("list[Any]", each)]
        )
        stack.extend(
            (f"{here}.{key}".strip(".") if key else here, child) for key, child in reversed(children)
        )


def _is_plain(value: Any) -> bool:
    return not isinstance(value, dict | list) or not value


def _line(key: str, value: Any) -> str:
    return f"{key}: {_shown(value)}" if key else _shown(value)


def _shown(value: Any) -> str:
    if value is None or value == [] or value == {}:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
