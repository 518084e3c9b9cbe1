"""What a graph is, as plain data: what a later version has to know of it to take up its threads.

The fingerprint is the hash of the description. It is computed once, when the graph is compiled, and stamped
on each checkpoint; the store keeps each description once. Decides nothing: `difference.py` compares two.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from types import UnionType
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
)
from weakref import WeakKeyDictionary

import msgspec

from stretto._internal.plain import Plain
from stretto.graph.parts import Blueprint
from stretto.graph.state import TURN_KEYS
from stretto.threads.checkpoint.types import VOCABULARY, declared

STAMP = "stretto_graph"
"""Where the metadata of a checkpoint hold the fingerprint."""
_WRAPPERS = (Annotated, Required, NotRequired)
_EMPTY: dict[str, Any] = {}


class GraphDescription(Plain, frozen=True):
    """A graph as plain data. All in it is in a fixed order, so that equal graphs have equal descriptions."""

    nodes: dict[str, tuple[str, ...]] = {}
    """Node: the channels that start it, as langgraph names them."""
    edges: tuple[tuple[str, str], ...] = ()
    """Source and target."""
    routes: dict[str, tuple[str, ...]] = {}
    """Source: the nodes that its route, its fallback or its Command may lead to."""
    keys: dict[str, tuple[str, ...]] = {}
    """State key: the types that its value may have."""
    reducers: dict[str, str] = {}
    """State key: the function that gathers what nodes write."""
    inputs: tuple[str, ...] = ()
    """The keys that the input of a turn writes anew."""
    types: dict[str, dict[str, tuple[str, ...]]] = {}
    """Class of the user's that the state may hold: its fields with their types; `*` before those it needs."""
    graphs: dict[str, "GraphDescription"] = {}
    """Node that is a sub-graph: its description."""
    renamed: dict[str, str] = {}
    """What nodes were called in earlier versions, and are called now."""
    migrates: bool = False
    """Whether it brings what an earlier version held into its own form."""


@dataclass(frozen=True)
class Described:
    """A graph that was compiled, with its description."""

    graph: Blueprint
    description: GraphDescription
    content: bytes
    fingerprint: str


_described: WeakKeyDictionary[Any, Described] = WeakKeyDictionary()


def stamp(graph: Blueprint, compiled: Any) -> Described:
    """Describes `graph`, and lets its checkpoints carry the fingerprint."""
    description = describe(graph)
    content = msgspec.json.encode(description, order="sorted")
    found = Described(graph, description, content, hashlib.sha256(content).hexdigest()[:16])
    compiled.config = {**compiled.config, "metadata": {STAMP: found.fingerprint}}
    saver: Any = compiled.checkpointer
    kept: Any = getattr(saver, "graphs", None)
    if isinstance(kept, dict):  # a saver of ours, which keeps it with the first checkpoint
        kept[found.fingerprint] = content
    _described[compiled] = found
    return found


def described(compiled: Any) -> Described | None:
    """The description of a graph that we compiled."""
    return _described.get(compiled)


async def kept_description(saver: Any, fingerprint: str | None) -> GraphDescription | None:
    """The description that a saver of ours kept under `fingerprint`, if it did."""
    read: Any = getattr(saver, "aread_graph", None)
    content = await read(fingerprint) if read is not None and fingerprint else None
    return None if content is None else read_description(content)


def read_description(content: bytes) -> GraphDescription:
    """A description as it was kept; what a later version knows beside it is left out."""
    return msgspec.json.decode(content, type=GraphDescription)


def describe(graph: Any) -> GraphDescription:
    """The description of a graph: a `Graph`, or one that langgraph compiled."""
    if not isinstance(graph, Blueprint):
        return GraphDescription(nodes={name: tuple(node.triggers) for name, node in graph.nodes.items()})
    ways: dict[str, set[str]] = {}
    for route in graph.routes:
        ways.setdefault(route.source, set()).update(route.targets.values())
    for node in graph.nodes:
        more = [*node.destinations, *([node.fallback] if isinstance(node.fallback, str) else ())]
        ways.setdefault(node.name, set()).update(more)
    joins = [(source, join.target) for join in graph.joins for source in join.sources]
    inner = {node.name: node.function for node in graph.nodes if _is_graph(node.function)}
    return GraphDescription(
        nodes={node.name: _starts(graph, node.name) for node in graph.nodes},
        edges=tuple(sorted([*graph.edges, *joins])),
        routes={source: tuple(sorted(targets)) for source, targets in ways.items() if targets},
        keys={key: _members(annotation) for key, annotation in graph.keys.items()},
        reducers={key: name for key, hint in graph.keys.items() if (name := _reducer(hint))},
        inputs=tuple(sorted(key for key in graph.inputs if _is_written_anew(key, graph.keys.get(key)))),
        types=_types(graph.state),
        graphs={name: describe(function) for name, function in inner.items()},
        renamed=dict(sorted(graph.renamed.items())),
        migrates=graph.migrate is not None,
    )


def _is_graph(function: Any) -> bool:
    return isinstance(function, Blueprint) or all(hasattr(function, each) for each in ("nodes", "channels"))


def _starts(graph: Blueprint, name: str) -> tuple[str, ...]:
    joins = [f"join:{'+'.join(join.sources)}:{name}" for join in graph.joins if join.target == name]
    return (f"branch:to:{name}", *sorted(joins))


def _reducer(annotation: Any) -> str:
    if get_origin(annotation) in (Required, NotRequired):
        return _reducer(get_args(annotation)[0])
    last = get_args(annotation)[-1] if get_origin(annotation) is Annotated else None
    return _name(last) if callable(last) else ""


def _is_written_anew(key: str, annotation: Any) -> bool:
    return key != "messages" and (key in TURN_KEYS or not _reducer(annotation))


def _types(state: type[Any]) -> dict[str, dict[str, tuple[str, ...]]]:
    ours = declared(state).types - VOCABULARY
    return {_name(cls): _fields(cls) for cls in sorted(ours, key=_name)}


def _fields(cls: Any) -> dict[str, tuple[str, ...]]:
    if issubclass(cls, Enum):
        return {str(member.value): () for member in cls}
    needed = _needed(cls)
    hints: Mapping[str, Any]
    try:
        hints = get_type_hints(cls, include_extras=True) if needed is not None else _EMPTY
    except (NameError, TypeError):
        return {}
    return {
        f"*{name}" if name in (needed or ()) else name: _members(hint)
        for name, hint in hints.items()
        if name in _field_names(cls)
    }


def _field_names(cls: Any) -> set[str]:
    if is_dataclass(cls):
        return {field.name for field in fields(cls)}
    return set(getattr(cls, "model_fields", None) or getattr(cls, "__struct_fields__", ()))


def _needed(cls: Any) -> set[str] | None:
    """The fields without which an object of the class cannot be made again; None where nothing tells."""
    if is_dataclass(cls):
        plain: Any = fields(cls)
        return {one.name for one in plain if type(one.default) is type(one.default_factory)}  # both MISSING
    if hasattr(cls, "model_fields"):
        return {name for name, field in cls.model_fields.items() if field.is_required()}
    if issubclass(cls, msgspec.Struct):
        return {field.name for field in msgspec.structs.fields(cls) if field.required}
    return None


def _members(annotation: Any) -> tuple[str, ...]:
    """The types that a value may have, in order, as text."""
    if get_origin(annotation) in _WRAPPERS:
        return _members(get_args(annotation)[0])
    if isinstance(annotation, NewType):
        return _members(annotation.__supertype__)
    if get_origin(annotation) in (Union, UnionType):
        return tuple(sorted({member for each in get_args(annotation) for member in _members(each)}))
    if get_origin(annotation) is Literal:
        return tuple(sorted(repr(each) for each in get_args(annotation)))
    return (_written(annotation),)


def _written(annotation: Any) -> str:
    if annotation is Any or annotation is object or isinstance(annotation, TypeVar):
        return "Any"
    if annotation is None or annotation is type(None):
        return "None"
    if annotation is Ellipsis:
        return "..."
    origin = get_origin(annotation)
    if origin is None:
        return _name(annotation)
    inner = ", ".join(" | ".join(_members(each)) for each in get_args(annotation))
    return f"{_name(origin)}[{inner}]"


def _name(found: Any) -> str:
    named = cast(str, getattr(found, "__qualname__", None) or type(found).__qualname__)
    module = getattr(found, "__module__", "builtins")
    return named if module == "builtins" else f"{module}.{named}"
