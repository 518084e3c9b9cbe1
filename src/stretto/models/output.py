"""Structured output: a type or JSON Schema in, a checked object out. Knows no endpoint.

A pydantic model is checked by pydantic, a msgspec struct, dataclass or TypedDict by msgspec, a JSON Schema of
your own by jsonschema, which is loaded with the first such schema and fetches nothing.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, cast, get_origin

import msgspec

from stretto._internal.shapes import GIVE, MOST, checker, json_schema, of_pydantic, pydantic_adapter
from stretto.errors import ConfigError, OutputInvalid
from stretto.messages import Message
from stretto.models.partial import json_in
from stretto.models.protocol import OutputSchema
from stretto.models.strict import strict_form

Shape = type[Any] | OutputSchema | Mapping[str, Any]
"""A pydantic model, msgspec struct, dataclass or TypedDict, a list of one; or a JSON Schema of your own."""

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
        self._pydantic = pydantic_adapter(shape)
        self._checker = checker(shape.name, shape.schema) if isinstance(shape, OutputSchema) else None
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
            raise ValueError("; ".join(f"{fault.message} at `{fault.json_path}`" for fault in faults[:MOST]))
        return value


def output_schema(shape: Shape) -> OutputSchema:
    """The JSON Schema of `shape`, strict where it can be; raises ConfigError for a type that has none."""
    shape = _named(shape)
    own = isinstance(shape, OutputSchema)
    name = shape.name if own else re.sub(r"\W", "_", getattr(shape, "__name__", str(shape)))
    schema = shape.schema if own else json_schema(shape, name)
    strict = None if own and not shape.strict else strict_form(schema, fill=not own)
    return OutputSchema(name, strict or schema, strict=strict is not None)


def _named(shape: Shape) -> type[Any] | OutputSchema:
    if isinstance(shape, Mapping):
        return OutputSchema(str(shape.get("title", "output")), dict(shape))
    given = cast("Any", shape)
    if isinstance(given, OutputSchema | type) or get_origin(given) is not None:
        return shape
    if isinstance(given, str):
        raise ConfigError(f"`output` is the text {given!r}, not the type of that name; {GIVE}")
    kind = type(given).__name__
    if is_dataclass(given) or of_pydantic(given) or isinstance(given, msgspec.Struct):
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


def _reason(error: ValueError) -> str:
    """What does not fit, in one line."""
    errors: Any = getattr(error, "errors", None)
    if errors is None:
        return str(error).splitlines()[0]
    faults: list[Any] = errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(
        f"{fault['msg']} at `${''.join(f'.{step}' for step in fault['loc'])}`" for fault in faults[:MOST]
    )
