"""Structured output: a type or JSON Schema in, a checked object out. Knows no endpoint.

A pydantic model is checked by pydantic, a msgspec struct, dataclass or TypedDict by msgspec, a JSON Schema of
your own by jsonschema, which is loaded with the first such schema and fetches nothing.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, cast, get_args, get_origin

import msgspec

from stretto.errors import ConfigError, OutputInvalid
from stretto.messages import Message
from stretto.models.partial import json_in
from stretto.models.protocol import OutputSchema
from stretto.models.strict import strict_form

Shape = type[Any] | OutputSchema | Mapping[str, Any]
"""A pydantic model, msgspec struct, dataclass or TypedDict, a list of one; or a JSON Schema of your own."""

_MOST = 5
"""Faults of one answer that its error names."""

_GIVE = "give a pydantic model, msgspec struct, dataclass or TypedDict, or a JSON Schema"

_TOLD = """Answer with one JSON value that fits this JSON Schema, and nothing else, not even a code fence:
{schema}"""

_AGAIN = """That does not fit: {reason}
Answer again, with the whole JSON and nothing else."""


class Form:
    """A shape made ready once: what an endpoint is told of it, and what it makes of an answer.

    Args:
        shape: What the answer has to fit.

    Raises:
        ConfigError: `shape` has no JSON Schema.
    """

    def __init__(self, shape: Shape) -> None:
        shape = self._shape = _named(shape)
        self._pydantic = _pydantic_adapter(shape)
        self._checker = _checker(shape) if isinstance(shape, OutputSchema) else None
        self.schema = output_schema(shape)
        """In its strict form where it has one."""
        kind = self.schema.schema.get("type")
        self.opening = {"object": "{", "array": "["}.get(kind if isinstance(kind, str) else "", "{[")
        """The characters that an answer may begin with."""

    def parse(self, text: str) -> Any:
        """The object that `text` holds, alone, in a fence or among other words.

        Raises:
            OutputInvalid: it holds none that fits; `partial` is `text`.
        """
        reason = "it holds no JSON"
        try:
            return self._read(json_in(text, self.opening))
        except RecursionError:
            reason = "it is nested too deeply"
        except ValueError as error:  # msgspec's and pydantic's validation errors are ValueErrors
            reason = _reason(error)
        raise OutputInvalid(f"the answer does not fit `{self.schema.name}`: {reason}", partial=text)

    def plain(self, text: str) -> Any:
        """What `text`, of which `parse` made an object, says as plain data, which a checkpoint can hold."""
        return msgspec.json.decode(json_in(text, self.opening))

    def revive(self, plain: Any) -> Any:
        """The object that `parse` made of the text with this plain data."""
        return self.parse(msgspec.json.encode(plain).decode())

    def _read(self, text: str) -> Any:
        value = msgspec.json.decode(text)
        if self._pydantic is not None:
            return self._pydantic.validate_json(text)
        if self._checker is None:
            return msgspec.json.decode(text, type=self._shape)
        faults = list(self._checker.iter_errors(value))
        if faults:
            raise ValueError("; ".join(f"{fault.message} at `{fault.json_path}`" for fault in faults[:_MOST]))
        return value


def output_schema(shape: Shape) -> OutputSchema:
    """The JSON Schema of `shape`, strict where it can be; raises ConfigError for a type that has none."""
    shape = _named(shape)
    own = isinstance(shape, OutputSchema)
    name = shape.name if own else re.sub(r"\W", "_", getattr(shape, "__name__", str(shape)))
    schema = shape.schema if own else _schema_of(shape, name)
    strict = None if own and not shape.strict else strict_form(schema, fill=not own)
    return OutputSchema(name, strict or schema, strict=strict is not None)


def _named(shape: Shape) -> type[Any] | OutputSchema:
    if isinstance(shape, Mapping):
        return OutputSchema(str(shape.get("title", "output")), dict(shape))
    given = cast("Any", shape)
    if isinstance(given, OutputSchema | type) or get_origin(given) is not None:
        return shape
    if isinstance(given, str):
        raise ConfigError(f"`output` is the text {given!r}, not the type of that name; {_GIVE}")
    kind = type(given).__name__
    if is_dataclass(given) or _of_pydantic(given) or isinstance(given, msgspec.Struct):
        raise ConfigError(f"`output` is an object of `{kind}`; give the type itself: output={kind}")
    return shape


def parse_output(shape: Shape, text: str) -> Any:
    """The object that `text` holds; raises OutputInvalid with the raw text."""
    return Form(shape).parse(text)


def told(messages: Sequence[Message], schema: OutputSchema) -> list[Message]:
    """The conversation with the schema in its instructions, for an endpoint that cannot be held to one.

    It stands at the end of the first system message, so that it is the same in each turn.
    """
    text = _TOLD.format(schema=msgspec.json.encode(schema.schema).decode())
    if messages and messages[0].role == "system":
        parts = (*messages[0].parts, *Message.system("\n\n" + text).parts)
        return [msgspec.structs.replace(messages[0], parts=parts), *messages[1:]]
    return [Message.system(text), *messages]


def again(error: OutputInvalid) -> Message:
    """What a model is told when its answer did not fit."""
    return Message.user(_AGAIN.format(reason=str(error)))


def _schema_of(shape: Any, name: str) -> dict[str, Any]:
    adapter = _pydantic_adapter(shape)
    if adapter is not None:
        try:
            return adapter.json_schema()
        except Exception as error:  # PydanticInvalidForJsonSchema, which only pydantic has
            said = str(error).splitlines()[0]
            raise ConfigError(f"`{name}` has no JSON Schema: {said}; {_GIVE}") from None
    try:
        (schema,), components = msgspec.json.schema_components([shape], ref_template="#/$defs/{name}")
    except (TypeError, NameError) as error:  # NameError: a forward reference to nothing
        said = str(error).splitlines()[-1]
        raise ConfigError(f"`{name}` has no JSON Schema: {said}; {_GIVE}") from None
    top = components.pop(schema["$ref"].removeprefix("#/$defs/")) if "$ref" in schema else schema
    return {**top, "$defs": components} if components else top


def _pydantic_adapter(shape: Any) -> Any:
    """Pydantic's own reader of a model or dataclass of pydantic's, or of a list of one; None for all else."""
    if not _of_pydantic(shape):
        return None
    from pydantic import TypeAdapter  # noqa: PLC0415 (whoever has such a shape has loaded it)

    return TypeAdapter(shape)


def _of_pydantic(shape: Any) -> bool:
    return hasattr(shape, "__pydantic_core_schema__") or any(map(_of_pydantic, get_args(shape)))


def _checker(schema: OutputSchema) -> Any:
    from jsonschema import SchemaError  # noqa: PLC0415 (0.1 s of CPU, for schemas without a type only)
    from jsonschema.validators import validator_for  # noqa: PLC0415 (as above)
    from referencing import Registry  # noqa: PLC0415 (as above)

    elsewhere = [place for place in _references(schema.schema) if not place.startswith("#")]
    if elsewhere:
        raise ConfigError(f"`{schema.name}` refers to `{elsewhere[0]}`; put that under its `$defs`")
    kind: Any = validator_for(schema.schema)
    if schema.schema and not schema.schema.keys() & kind.VALIDATORS.keys():
        keys = ", ".join(f"`{key}`" for key in list(schema.schema)[:_MOST])
        raise ConfigError(
            f"`{schema.name}` is no JSON Schema: {keys} says nothing there; write "
            '{"type": "object", "properties": {"name": {"type": "string"}}}, or give a type'
        )
    try:
        kind.check_schema(schema.schema)
    except SchemaError as error:
        raise ConfigError(f"`{schema.name}` is no JSON Schema: {error.message}") from None
    return kind(schema.schema, registry=cast("Any", Registry)())


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


def _reason(error: ValueError) -> str:
    """What does not fit, in one line."""
    errors: Any = getattr(error, "errors", None)
    if errors is None:
        return str(error).splitlines()[0]
    faults: list[Any] = errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(
        f"{fault['msg']} at `${''.join(f'.{step}' for step in fault['loc'])}`" for fault in faults[:_MOST]
    )
