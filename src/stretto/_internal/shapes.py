"""Types and JSON Schemas: a type's schema, and what checks plain data against one. Knows no use of them.

jsonschema is loaded with the first schema of one's own and fetches nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast, get_args

import msgspec

from stretto.errors import ConfigError

MOST = 5
"""Faults that an error names."""

GIVE = "give a pydantic model, msgspec struct, dataclass or TypedDict, or a JSON Schema"


def json_schema(shape: Any, name: str) -> dict[str, Any]:
    """The JSON Schema of a type; raises ConfigError for one that has none."""
    adapter = pydantic_adapter(shape)
    if adapter is not None:
        try:
            return adapter.json_schema()
        except Exception as error:  # PydanticInvalidForJsonSchema, which only pydantic has
            said = str(error).splitlines()[0]
            raise ConfigError(f"`{name}` has no JSON Schema: {said}; {GIVE}") from None
    try:
        (schema,), components = msgspec.json.schema_components([shape], ref_template="#/$defs/{name}")
    except (TypeError, NameError) as error:  # NameError: a forward reference to nothing
        said = str(error).splitlines()[-1]
        raise ConfigError(f"`{name}` has no JSON Schema: {said}; {GIVE}") from None
    top = components.pop(schema["$ref"].removeprefix("#/$defs/")) if "$ref" in schema else schema
    return {**top, "$defs": components} if components else top


def pydantic_adapter(shape: Any) -> Any:
    """Pydantic's own reader of a model or dataclass of pydantic's, or of a list of one; None for all else."""
    if not of_pydantic(shape):
        return None
    from pydantic import TypeAdapter  # noqa: PLC0415 (whoever has such a shape has loaded it)

    return TypeAdapter(shape)


def of_pydantic(shape: Any) -> bool:
    """Whether pydantic checks a shape."""
    return hasattr(shape, "__pydantic_core_schema__") or any(map(of_pydantic, get_args(shape)))


def checker(name: str, schema: Mapping[str, Any]) -> Any:
    """What finds the faults of plain data by a JSON Schema (`iter_errors`); raises ConfigError for none."""
    from jsonschema import SchemaError  # noqa: PLC0415 (0.1 s of CPU, for schemas without a type only)
    from jsonschema.validators import validator_for  # noqa: PLC0415 (as above)
    from referencing import Registry  # noqa: PLC0415 (as above)

    elsewhere = [place for place in _references(schema) if not place.startswith("#")]
    if elsewhere:
        raise ConfigError(f"`{name}` refers to `{elsewhere[0]}`; put that under its `$defs`")
    kind: Any = validator_for(schema)
    if schema and not schema.keys() & kind.VALIDATORS.keys():
        keys = ", ".join(f"`{key}`" for key in list(schema)[:MOST])
        raise ConfigError(
            f"`{name}` is no JSON Schema: {keys} says nothing there; write "
            '{"type": "object", "properties": {"name": {"type": "string"}}}, or give a type'
        )
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        raise ConfigError(f"`{name}` is no JSON Schema: {error.message}") from None
    return kind(schema, registry=cast("Any", Registry)())


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        found = cast("dict[str, Any]", schema)
        if isinstance(found.get("$ref"), str):
            yield found["$ref"]
        for inner in found.values():
            yield from _references(inner)
    elif isinstance(schema, list):
        for inner in cast("list[Any]", schema):
            yield from _references(inner)
