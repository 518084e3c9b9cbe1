"""Which types a state declares, and which of them would not come back from a checkpoint as themselves.

Reads annotations only; imports no langgraph.
"""

import dataclasses
import importlib
import types
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePath
from typing import (
    Annotated,
    Any,
    Literal,
    NewType,
    NotRequired,
    Required,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from stretto._internal.plain import Plain
from stretto.documents import Chunk, Document, Hit, Look
from stretto.messages import (
    Audio,
    File,
    Image,
    Message,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from stretto.results import Approval, Citation, Missing, Result, ToolRun
from stretto.usage import Usage

VOCABULARY: frozenset[type] = frozenset(
    {Message, Text, Image, Audio, File, ToolCall, ToolResult, Reasoning, Refusal}
    | {Document, Chunk, Hit, Look, Citation, ToolRun, Approval, Missing, Usage, Result}
)
"""Our own types: any state may hold them."""

_TIMES = {datetime, date, time, timedelta, timezone, ZoneInfo}
_SCALARS: set[Any] = {type(None), bool, int, float, str, bytes, UUID, Decimal, Path} | _TIMES
_CONTAINERS = {list, dict, set, frozenset}
_WRAPPERS = (Annotated, Required, NotRequired)


@dataclasses.dataclass
class Declared:
    """What a state declares."""

    types: set[type] = dataclasses.field(default_factory=lambda: set(VOCABULARY))
    """Classes that a checkpoint may hold beside plain data."""
    problems: list[tuple[str, str]] = dataclasses.field(default_factory=list[tuple[str, str]])
    """Key, and why what it declares would not come back as itself."""


def declared(state: type[Any]) -> Declared:
    """Walks the annotations of `state`, a TypedDict."""
    found = Declared()
    try:
        keys = get_type_hints(state, include_extras=True)
    except NameError as error:
        found.problems.append(
            (error.name or "", f"the annotation `{error.name}` of {state.__name__} is not to be found")
        )
        return found
    for key, annotation in keys.items():
        for problem in _walk(annotation, found.types):
            found.problems.append((key, problem))
    return found


def _walk(annotation: Any, known: set[type]) -> Iterator[str]:
    """Adds the classes below `annotation` to `known`, and says which cannot be kept."""
    if annotation in (Any, object) or isinstance(annotation, TypeVar) or get_origin(annotation) is Literal:
        return  # what is written there is judged when it is written
    if isinstance(annotation, NewType):
        yield from _walk(annotation.__supertype__, known)
        return
    origin = get_origin(annotation)
    if origin is None:
        yield from _walk_class(annotation, known)
        return
    arguments = [argument for argument in get_args(annotation) if argument is not Ellipsis]
    if origin in _WRAPPERS:
        yield from _walk(arguments[0], known)
        return
    if origin is not Union and origin is not types.UnionType:
        yield from _walk_class(origin, known)
    for argument in arguments:
        yield from _walk(argument, known)


def _walk_class(found: Any, known: set[type]) -> Iterator[str]:
    if not isinstance(found, type):
        yield f"{found!r} cannot be kept; declare a class"
        return
    cls = cast("type[Any]", found)
    if cls in known or cls in _SCALARS or cls in _CONTAINERS or issubclass(cls, PurePath):
        return
    if cls is tuple or cls is bytearray:
        yield f"`{cls.__name__}` comes back as `{'list' if cls is tuple else 'bytes'}`; declare that instead"
        return
    if cls.__module__ == "collections.abc":
        return  # Sequence, Mapping: what is written decides
    if is_typeddict(cls):
        known_hints = get_type_hints(cls, include_extras=True)
        for hint in known_hints.values():
            yield from _walk(hint, known)
        return
    reason = _unkeepable(cls)
    if reason:
        yield f"`{cls.__qualname__}` {reason}"
        return
    known.add(cls)
    for hint in _fields(cls):
        yield from (
            problem for problem in _walk(hint, known) if "`tuple`" not in problem or not _restores(cls)
        )


def _unkeepable(cls: Any) -> str:
    if not _importable(cls):
        return "is not at the top of its module, where it is looked for on the way back; move it there"
    if issubclass(cls, Enum) or issubclass(cls, Plain):
        return ""
    if issubclass(cls, msgspec.Struct):
        return "is a msgspec.Struct without `_asdict`; use a dataclass or a pydantic model"
    if dataclasses.is_dataclass(cls):
        hidden = [field.name for field in dataclasses.fields(cls) if not field.init]
        return f"has the field `{hidden[0]}` that its constructor does not take" if hidden else ""
    if hasattr(cls, "model_dump") or hasattr(cls, "_asdict"):
        return ""
    if cls.__module__ == "numpy" and cls.__name__ == "ndarray":
        return ""
    if issubclass(cls, str | int | float | bytes | list | dict):
        base = next(base for base in cls.__mro__ if base.__module__ == "builtins")
        return f"comes back as `{base.__name__}`; declare that, or a dataclass"
    return (
        "cannot be kept in a checkpoint; use plain data, a dataclass, a pydantic model, or a reference to it"
    )


def _importable(cls: type) -> bool:
    try:
        return getattr(importlib.import_module(cls.__module__), cls.__name__, None) is cls
    except ImportError:
        return False


def _fields(cls: Any) -> list[Any]:
    if not (dataclasses.is_dataclass(cls) or issubclass(cls, Plain) or hasattr(cls, "_asdict")):
        return []  # an Enum has no fields; a pydantic model is rebuilt from plain data by itself
    try:
        hints: Mapping[str, Any] = get_type_hints(cls, include_extras=True)
    except (NameError, TypeError):
        return []
    return list(hints.values())


def _restores(cls: type) -> bool:
    """True where tuples inside come back as tuples: the serializer converts the fields of our plain types."""
    return issubclass(cls, Plain)
