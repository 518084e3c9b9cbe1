"""The strict serializer: a checkpoint holds only what its state declares, and gives back only that.

langgraph's own runs any importable callable that a stored blob names, or, when told to be strict, silently
gives a dict for a type it does not know. This one keeps its format, and refuses to write and to read either.
"""

import copy
import functools
import importlib
from collections.abc import Callable
from typing import Any, cast

import msgspec
import ormsgpack
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde import _msgpack, jsonplus
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import _DeltaSnapshot  # pyright: ignore[reportPrivateUsage]

from stretto._internal.plain import Plain
from stretto.errors import GraphError, ThreadError
from stretto.threads.checkpoint.types import declared

_OPTION = jsonplus._option  # pyright: ignore[reportPrivateUsage]
_SAFE = _msgpack.SAFE_MSGPACK_TYPES
_CLASSES = (
    jsonplus.EXT_CONSTRUCTOR_SINGLE_ARG,
    jsonplus.EXT_CONSTRUCTOR_POS_ARGS,
    jsonplus.EXT_CONSTRUCTOR_KW_ARGS,
    jsonplus.EXT_PYDANTIC_V2,
)
Name = tuple[str, ...]


class _Refused(Exception):
    """Stops msgpack, which hides what a hook raised: the reason is in the list that the hook was given."""


class StrictSerializer(JsonPlusSerializer):
    """langgraph's msgpack format, for declared types only."""

    def __init__(self, allowed: frozenset[Name], state: str) -> None:
        super().__init__(allowed_msgpack_modules=sorted(allowed))
        self._names = allowed | _SAFE
        self._state = state

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """`obj` as msgpack; raises GraphError for a type that the state does not declare."""
        if obj is None:
            return "null", b""
        if isinstance(obj, bytes):
            return "bytes", obj
        packing = Packing(self._names)
        try:
            return "msgpack", packing.pack(obj)
        except (TypeError, ValueError) as error:
            what = packing.refused[0] if packing.refused else str(error)
            raise GraphError(
                f"the state holds {what}, which `{self._state}` does not declare; "
                "annotate a key with this type, or write plain data"
            ) from None

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """What `dumps_typed` wrote; raises ThreadError for a type that the state does not declare."""
        kind, content = data
        if kind == "null":
            return None
        if kind == "bytes":
            return content
        if kind != "msgpack":
            raise ThreadError(
                f"a checkpoint holds data of the kind `{kind}`, which is not read; only msgpack is"
            )
        reading = self.reading()
        try:
            return reading.unpack(content)
        except ValueError as error:
            why = reading.refused[0] if reading.refused else f"is damaged ({error})"
            raise ThreadError(f"a checkpoint {why}") from None

    def reading(self) -> "Reading":
        """Reads one value."""
        return Reading(self._names, self._state, self._unpack_ext_hook)


class Packing:
    """The packing of one value. An object, for a function that calls itself would be garbage to collect."""

    __slots__ = ("_names", "refused")

    def __init__(self, names: frozenset[Name]) -> None:
        self._names = names
        self.refused: list[str] = []

    def pack(self, value: Any) -> bytes:
        """The value as msgpack."""
        return ormsgpack.packb(value, default=self.extended, option=_OPTION)

    def extended(self, obj: Any) -> Any:
        """What msgpack is told of an object that it does not know."""
        cls = cast("type[Any]", type(obj))
        name = (cls.__module__, cls.__name__)
        if isinstance(obj, Plain) and name in self._names:
            fields: dict[str, Any] = {}
            for field, usual in _usual(cls):
                value = getattr(obj, field)
                if value is not usual and (type(value) is not type(usual) or value != usual):
                    fields[field] = value
            return ormsgpack.Ext(jsonplus.EXT_CONSTRUCTOR_KW_ARGS, self.pack((*name, fields)))
        if isinstance(obj, _DeltaSnapshot):
            return ormsgpack.Ext(jsonplus.EXT_DELTA_SNAPSHOT, self.pack(obj.value))
        if name not in self._names and not isinstance(obj, BaseException) and name not in _BUILT_IN:
            self.refused.append(f"{cls.__module__}.{cls.__qualname__}")
            raise _Refused
        inside = _inside(obj)
        if inside:
            self.pack(inside)
        return jsonplus._msgpack_default(obj)  # pyright: ignore[reportPrivateUsage]


class Reading:
    """The reading of one value."""

    __slots__ = ("_known", "_names", "_state", "refused")

    def __init__(self, names: frozenset[Name], state: str, known: Callable[[int, bytes], Any]) -> None:
        self._names, self._state, self._known = names, state, known
        self.refused: list[str] = []

    def unpack(self, content: bytes) -> Any:
        """The value of msgpack."""
        return ormsgpack.unpackb(content, ext_hook=self.built, option=ormsgpack.OPT_NON_STR_KEYS)

    def built(self, code: int, content: bytes) -> Any:
        """The object that msgpack does not know."""
        if code == jsonplus.EXT_NUMPY_ARRAY:
            return self._known(code, content)
        value = self.unpack(content)
        if code == jsonplus.EXT_DELTA_SNAPSHOT:
            return _DeltaSnapshot(value)
        module, name, payload = value[0], value[1], value[2]
        if (
            code == jsonplus.EXT_METHOD_SINGLE_ARG
            and (module, name, value[3]) in _msgpack.SAFE_MSGPACK_METHODS
        ):
            return self._known(code, content)
        if code not in _CLASSES or (module, name) not in self._names:
            self.refused.append(
                f"holds `{module}.{name}`, which `{self._state}` does not declare; it was not loaded"
            )
            raise _Refused
        try:
            return _build(code, module, name, payload)
        except Exception as error:
            self.refused.append(f"holds a `{module}.{name}` that does not fit the class of today: {error}")
            raise


_BUILT_IN = frozenset({("re", "Pattern"), ("numpy", "ndarray")})


def strict_serializer(*states: type[Any]) -> StrictSerializer:
    """The serializer for threads of a graph with these states (TypedDicts): its own and its sub-graphs'.

    Raises:
        GraphError: The state declares a type that would not come back as itself.
    """
    found = [declared(state) for state in states]
    problems = [f"state key `{key}`: {problem}" for each in found for key, problem in each.problems]
    if problems:
        raise GraphError("\n".join(problems))
    names = frozenset((cls.__module__, cls.__name__) for each in found for cls in each.types)
    return StrictSerializer(names, states[0].__name__ if states else "the state")


def with_strict_serializer(saver: BaseCheckpointSaver[Any], *states: type[Any]) -> BaseCheckpointSaver[Any]:
    """`saver` itself when its owner chose its serializer, else a copy (of the same store) that is strict."""
    if type(saver.serde) is not JsonPlusSerializer:
        return saver
    strict = copy.copy(saver)
    strict.serde = strict_serializer(*states)
    return strict


@functools.cache
def _usual(cls: type[Plain]) -> tuple[tuple[str, Any], ...]:
    """The fields of a plain type with their defaults, which are not written."""
    return tuple(
        (
            field.name,
            field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default,
        )
        for field in msgspec.structs.fields(cls)
    )


def _inside(obj: Any) -> Any:
    """The fields of other classes: langgraph packs them itself, and they are held to the same rule here."""
    if isinstance(obj, BaseException) or hasattr(obj, "model_dump"):
        return None  # kept as text, or as plain data
    if hasattr(obj, "__dataclass_fields__"):
        return [getattr(obj, name) for name in obj.__dataclass_fields__]
    return obj._asdict() if hasattr(obj, "_asdict") else None


def _build(code: int, module: str, name: str, payload: Any) -> Any:
    cls: Any = getattr(importlib.import_module(module), name)
    if code == jsonplus.EXT_CONSTRUCTOR_SINGLE_ARG:
        return cls(payload)
    if code == jsonplus.EXT_CONSTRUCTOR_POS_ARGS:
        return cls(*payload)
    if isinstance(cls, type) and issubclass(cls, Plain):
        return msgspec.convert(payload, cls)  # restores the tuples that msgpack gives as lists
    return cls(**payload)
