"""The strict form of a JSON Schema, which endpoints want before they hold a model to it. Knows no endpoint.

Strict means: every object lists all its properties as required and allows no other, and no keyword stands
there that such an endpoint refuses. What an answer has to fit is always the schema itself, never this form.
"""

from collections.abc import Mapping
from typing import Any, cast

_KEPT = frozenset(
    [
        "type",
        "enum",
        "const",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "anyOf",
        "$ref",
        "$defs",
        "title",
        "description",
        "pattern",
        "format",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
    ]
)
"""Keywords that strict mode takes."""

_DROPPED = frozenset(
    [
        "default",
        "examples",
        "discriminator",
        "deprecated",
        "readOnly",
        "writeOnly",
        "uniqueItems",
        "$schema",
        "$id",
        "$comment",
    ]
)
"""They say nothing about the shape, or, as `uniqueItems`, are judged when the answer is there."""

_FORMATS = frozenset(["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"])


class _Impossible(Exception):
    """The schema has no strict form."""


def strict_form(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The strict form of `schema`, or None where it has none: an open object, a `oneOf` of ranges, a `not`.

    Fields with a default become required: the model then says what it would have left out.
    """
    try:
        form = _strict(schema)
    except _Impossible:
        return None
    return form if form.get("type") == "object" else None  # the top has to be an object


def is_strict(schema: Mapping[str, Any]) -> bool:
    """Whether strict mode takes `schema` exactly as it stands."""
    return strict_form(schema) == schema


def _strict(schema: Any) -> dict[str, Any]:
    if not isinstance(schema, Mapping):
        raise _Impossible
    found = cast("Mapping[str, Any]", schema)
    if "$ref" in found and "$defs" not in found:
        return {"$ref": found["$ref"]}  # nothing may stand beside it
    form: dict[str, Any] = {}
    for key, value in found.items():
        if key == "oneOf" and "anyOf" not in found:
            form["anyOf"] = [_strict(way) for way in value]
        elif key == "anyOf":
            form[key] = [_strict(way) for way in value]
        elif key in ("properties", "$defs"):
            form[key] = {name: _strict(inner) for name, inner in value.items()}
        elif key == "items":
            form[key] = _strict(value)
        elif key in _DROPPED or (key == "format" and value not in _FORMATS):
            continue
        elif key in _KEPT:
            form[key] = value
        else:
            raise _Impossible
    if form.get("type") == "object" or "properties" in form:
        if found.get("additionalProperties", False) is not False or "properties" not in form:
            raise _Impossible  # an open mapping
        form["required"] = list(form["properties"])
        form["additionalProperties"] = False
    return form
