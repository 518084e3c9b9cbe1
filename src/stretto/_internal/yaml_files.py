"""Reads a YAML file into a typed struct; an error tells file, line and column. Knows no particular file."""

import copy
import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from stretto.errors import ConfigError

MAX_BYTES = 1_000_000
_PATH = re.compile(r" - at `(\$[^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `([^`]+)`")
_MISSING = re.compile(r"missing required field `([^`]+)`")
_WORD = re.compile(r"[Ii]nvalid enum value '([^']*)'")
_NO_MAPPING = re.compile(r"xpected `[^`]*\bobject\b[^`]*`, got")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")

T = TypeVar("T")


def read_yaml(path: Path, kind: type[T]) -> T:
    """The content of `path` as a `kind`. An empty file is an empty mapping; raises ConfigError."""
    node, data = _parsed(path)
    try:
        return msgspec.convert({} if data is None else data, kind)
    except msgspec.ValidationError as error:
        raise _explain(path, node, data, str(error), kind) from None


def place(path: Path, *steps: str | int) -> str:
    """`file:line:column` of what stands under these keys and indices, as far as they lead."""
    node, _ = _parsed(path)
    target = _follow(node, steps)
    return _place(path, target.start_mark if target is not None else None)


def _parsed(path: Path) -> tuple[Any, Any]:
    """The file's nodes, which know their places, and its data."""
    import yaml  # noqa: PLC0415 (20 ms of CPU; an agent made in code reads no file)

    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from None
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"is larger than {MAX_BYTES} bytes", where=str(path))
    try:
        loader = cast("Any", yaml.SafeLoader(raw.decode("utf-8-sig")))
        node = loader.get_single_node()
        _refuse_repeated(path, node, set())
        return node, None if node is None else loader.construct_document(node)
    except UnicodeDecodeError as error:
        raise ConfigError(f"is not UTF-8 (byte {error.start})", where=str(path)) from None
    except yaml.MarkedYAMLError as error:
        raise ConfigError(error.problem or "is not YAML", where=_place(path, error.problem_mark)) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"is not YAML: {str(error).splitlines()[0]}", where=str(path)) from None


def _is(node: Any, kind: str) -> bool:
    """Whether a YAML node is a `mapping` or a `sequence`."""
    return getattr(node, "id", None) == kind


def _place(path: Path, mark: Any) -> str:
    return f"{path}:{mark.line + 1}:{mark.column + 1}" if mark is not None else str(path)


def _refuse_repeated(path: Path, node: Any, nodes: set[int]) -> None:
    """Raises ConfigError for a key that is given twice, and for aliases, which can unfold without end."""
    if id(node) in nodes:
        where = _place(path, node.start_mark)
        raise ConfigError("what stands here is used again by an alias (*name); write it out", where=where)
    nodes.add(id(node))
    if _is(node, "mapping"):
        seen: set[str] = set()
        for key, value in node.value:
            if not _is(key, "scalar"):
                raise ConfigError("a key has to be a word", where=_place(path, key.start_mark))
            if key.value in seen:
                raise ConfigError(f"`{key.value}` is given twice", where=_place(path, key.start_mark))
            seen.add(key.value)
            _refuse_repeated(path, value, nodes)
    elif _is(node, "sequence"):
        for value in node.value:
            _refuse_repeated(path, value, nodes)
    elif node is not None and any("\ud800" <= letter <= "\udfff" for letter in node.value):
        where = _place(path, node.start_mark)
        raise ConfigError("holds half a character (a lone surrogate); write the whole one", where=where)


def _explain(path: Path, node: Any, data: Any, message: str, kind: type[Any]) -> ConfigError:
    found = _PATH.search(message)
    where = found.group(1) if found else "$"
    text = _PATH.sub("", message)
    unknown = _UNKNOWN.search(text)
    steps = _steps(data, where, message, kind)
    target = _follow(node, steps)
    if unknown and _is(target, "mapping"):
        name = unknown.group(1)
        target = next((key for key, _ in target.value if key.value == name), target)
        allowed = _fields_at(kind, where)
        text = f"`{name}` is not known here{_near(name, allowed)} Allowed: {', '.join(allowed)}"
    elif missing := _MISSING.search(text):
        text = f"`{missing.group(1)}` is required"
    elif steps:
        shown = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
        text = f"`{shown.lstrip('.')}`: {text[0].lower()}{text[1:]}"
    if not unknown:
        text = _WORD.sub(r"`\1` is not known here", text) + _expected(text, kind, where)
    return ConfigError(text, where=_place(path, target.start_mark if target is not None else None))


def _near(name: str, allowed: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, allowed, 1)
    return f"; did you mean `{close[0]}`?" if close else "."


def _expected(text: str, kind: type[Any], where: str) -> str:
    """What may stand there, where msgspec does not say."""
    info = _info_at(kind, where)
    if word := _WORD.search(text):
        options = [option for option in getattr(info, "types", (info,)) if hasattr(option, "values")]
        allowed = [str(value) for option in options for value in option.values]
        return f"{_near(word.group(1), allowed)} Allowed: {', '.join(allowed)}" if allowed else ""
    struct = _struct_in(info)
    if struct is None or not _NO_MAPPING.search(text):
        return ""
    needed = [f"`{field.encode_name}:`" for field in struct.fields if field.required]
    keys = ", ".join(needed or [field.encode_name for field in struct.fields])
    write = "; write a word, or a mapping" if "str" in text else "; write a mapping"
    return f"{write} with {keys}" if needed else f"{write}. Its keys: {keys}"


def _steps(data: Any, where: str, message: str, kind: type[Any]) -> list[str | int]:
    """The keys and indices to what msgspec complains of; it writes `[...]` for any key of a table."""
    steps: list[str | int] = []
    for name, index in _STEP.findall(where):
        if index == "...":
            key = next((key for key in _at(data, steps) if _alone(data, steps, key, kind) == message), None)
            if key is None:
                return steps
            steps.append(key)
        else:
            steps.append(name or int(index))
    return steps


def _at(data: Any, steps: Sequence[str | int]) -> Any:
    for step in steps:
        data = data[step]
    return data


def _alone(data: Any, steps: Sequence[str | int], key: str, kind: type[Any]) -> str:
    """What msgspec says when `key` is the only one of its table."""
    whole = copy.deepcopy(data)
    table = _at(whole, steps)
    for other in [name for name in table if name != key]:
        del table[other]
    try:
        msgspec.convert(whole, kind)
    except msgspec.ValidationError as error:
        return str(error)
    return ""


def _follow(node: Any, steps: Sequence[str | int]) -> Any:
    for step in steps:
        if _is(node, "mapping"):
            node = next((value for key, value in node.value if key.value == step), node)
        elif _is(node, "sequence") and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
        else:
            return node
    return node


def _fields_at(kind: type[Any], where: str) -> list[str]:
    info = _struct_in(_info_at(kind, where))
    return [field.encode_name for field in info.fields] if info is not None else []


def _info_at(kind: type[Any], where: str) -> Any:
    info: Any = msgspec.inspect.type_info(kind)
    for name, index in _STEP.findall(where):
        info = _step(info, name, index)
    return info


def _step(info: Any, name: str, index: str) -> Any:
    for option in getattr(info, "types", (info,)):
        if isinstance(option, msgspec.inspect.StructType) and name:
            for field in option.fields:
                if field.encode_name == name:
                    return field.type
        if isinstance(option, msgspec.inspect.DictType):
            return option.value_type
        if index and isinstance(option, msgspec.inspect.ListType | msgspec.inspect.VarTupleType):
            return option.item_type
    return info


def _struct_in(info: Any) -> Any:
    for option in getattr(info, "types", (info,)):
        if isinstance(option, msgspec.inspect.StructType):
            return option
    return None
