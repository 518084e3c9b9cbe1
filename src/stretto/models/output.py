"""Structured output: a type or JSON Schema in, a checked object out. Knows no endpoint."""

import re
from typing import Any

import msgspec

from stretto.errors import ConfigError, OutputInvalid
from stretto.models.protocol import OutputSchema

Shape = type[Any] | OutputSchema
"""A pydantic model, msgspec struct, dataclass or TypedDict; or a JSON Schema of your own."""


def output_schema(shape: Shape) -> OutputSchema:
    """The JSON Schema of `shape`; raises ConfigError for a type that has none."""
    if isinstance(shape, OutputSchema):
        return shape
    name = re.sub(r"\W", "_", shape.__name__)
    if hasattr(shape, "model_json_schema"):
        return OutputSchema(name, shape.model_json_schema())
    try:
        (schema,), components = msgspec.json.schema_components([shape], ref_template="#/$defs/{name}")
    except TypeError as error:
        raise ConfigError(f"`{name}` has no JSON Schema: {error}") from None
    top = components.pop(schema["$ref"].removeprefix("#/$defs/")) if "$ref" in schema else schema
    return OutputSchema(name, {**top, "$defs": components} if components else top)


def parse_output(shape: Shape, text: str) -> Any:
    """The object that `text` holds; raises OutputInvalid with the raw text."""
    try:
        if isinstance(shape, OutputSchema):
            return msgspec.json.decode(text)
        if hasattr(shape, "model_validate_json"):
            return shape.model_validate_json(text)
        return msgspec.json.decode(text, type=shape)
    except ValueError as error:  # msgspec's and pydantic's validation errors are ValueErrors
        reason = str(error).splitlines()[0]
        raise OutputInvalid(
            f"the answer does not fit `{output_schema(shape).name}`: {reason}", partial=text
        ) from None
