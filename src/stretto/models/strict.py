"""The strict form of a JSON Schema, which endpoints want before they hold a model to it. Knows no endpoint.

Strict means: every object lists all its properties as required and allows no other, and no keyword stands
there that such an endpoint refuses. An answer is checked against the schema itself, never against this form.
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


def strict_form(schema: Mapping[str, Any], *, fill: bool = False) -> dict[str, Any] | None:
    """The strict form of `schema`, or None where it has none: an open object, a `not`, an optional property.

    What fits the form fits the schema, as far as its shape goes.

    Args:
        schema: A JSON Schema.
        fill: Require optional properties too: the model then says what it would have left out. Right where
            whoever reads the answer takes a value for each of them, as a type with defaults does.
    """
    try:
        form = _strict(schema, fill)
    except _Impossible:
        return None
    return form if form.get("type") == "object" else None  # the top has to be an object


def _strict(schema: Any, fill: bool) -> dict[str, Any]:
    if not isinstance(schema, Mapping):
        raise _Impossible
    found = cast("Mapping[str, Any]", schema)
    if "$ref" in found and "$defs" not in found:
        return {"$ref": found["$ref"]}  # nothing may stand beside it
    form: dict[str, Any] = {}
    for key, value in found.items():
        if key == "oneOf" and "anyOf" not in found:
            form["anyOf"] = [_strict(way, fill) for way in value]
        elif key == "anyOf":
            form[key] = [_strict(way, fill) for way in value]
        elif key in ("properties", "$defs"):
            form[key] = {name: _strict(inner, fill) for name, inner in value.items()}
        elif key == "items":
            form[key] = _strict(value, fill)
        elif key in _DROPPED or (key == "format" and value not in _FORMATS):
            continue
        elif key in _KEPT:
            form[key] = value
        else:
            raise _Impossible
    return _closed(form, fill) if form.get("type") == "object" or "properties" in form else form


def _closed(form: dict[str, Any], fill: bool) -> dict[str, Any]:
    """An object that takes its properties, all of them, and no others."""
    properties: dict[str, Any] = form.get("properties", {})
    optional = properties.keys() - set(form.get("required", ()))
    if (
        not properties
        or form.get("additionalProperties", False) not in (False, True)
        or (optional and not fill)
    ):
        raise _Impossible
    return {**form, "required": list(properties), "additionalProperties": False}
