"""A JSON Schema as a grammar of the local runtime, and what that grammar cannot say. Knows no model.

The runtime ignores a grammar it cannot compile and answers freely, without a word. So every keyword is
looked at here first.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, cast

from stretto.errors import BadRequest

_SPOKEN = frozenset(
    [
        "type",
        "enum",
        "const",
        "properties",
        "required",
        "additionalProperties",
        "patternProperties",
        "items",
        "prefixItems",
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "pattern",
        "format",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "anyOf",
        "oneOf",
        "allOf",
        "$ref",
        "$defs",
        "definitions",
    ]
)
_SILENT = frozenset(
    [
        "title",
        "description",
        "default",
        "examples",
        "example",
        "deprecated",
        "readOnly",
        "writeOnly",
        "$schema",
        "$id",
        "$comment",
        "discriminator",
        "uniqueItems",
        "strict",
    ]
)
"""Dropped: they do not change the text, or, as `uniqueItems`, are for whoever reads the answer."""

_TYPES = frozenset(["object", "array", "string", "number", "integer", "boolean", "null"])
_FORMATS = frozenset(
    ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"]
)
_LOOK_AROUND = re.compile(r"\(\?[=!<]|\\[1-9bB]")
_BY_NAME = ("properties", "patternProperties", "$defs", "definitions")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_ONE = ("items", "additionalProperties")

_COMPACT = {
    "whitespace_flexible": False,
    "key_separator": ": ",
    "item_separator": ", ",
    "coerce_one_of": True,
}
"""Fixed white space: fewer tokens, and a small model cannot lose itself in indentation."""


def grammar(schema: Mapping[str, Any], name: str) -> str:
    """The grammar that lets through JSON that fits `schema` and nothing else.

    Raises:
        BadRequest: the schema holds something the grammar cannot express; the message names it.
    """
    spoken = _spoken(schema, "#", name, schema)
    return "%llguidance {}\nstart: %json " + json.dumps({**spoken, "x-guidance": _COMPACT})


def _refuse(name: str, place: str, why: str) -> BadRequest:
    return BadRequest(f"local models cannot be held to the schema `{name}`: at `{place}` {why}")


def _spoken(schema: Any, place: str, name: str, root: Mapping[str, Any]) -> dict[str, Any]:
    if schema is True:
        return {}
    if not isinstance(schema, Mapping):
        raise _refuse(name, place, f"stands {json.dumps(schema)}; write an object")
    found = cast("Mapping[str, Any]", schema)
    result: dict[str, Any] = {}
    for key, value in found.items():
        if key in _SILENT or (key == "format" and value not in _FORMATS):
            continue
        here = f"{place}/{key}"
        if key not in _SPOKEN:
            raise _refuse(name, place, f"the keyword `{key}` is not supported; take it out of the schema")
        if key in _BY_NAME:
            result[key] = {k: _spoken(v, f"{here}/{k}", name, root) for k, v in value.items()}
        elif key in _LISTS:
            result[key] = [_spoken(v, f"{here}/{i}", name, root) for i, v in enumerate(value)]
        elif key in _ONE and value is not False:
            result[key] = _spoken(value, here, name, root)
        else:
            _check(key, value, here, name, root)
            result[key] = value
    if "properties" in result and "additionalProperties" not in result:
        result["additionalProperties"] = False  # left open, a small model invents fields
    return result


def _check(key: str, value: Any, place: str, name: str, root: Mapping[str, Any]) -> None:
    if key == "type":
        kinds = cast("list[Any]", value) if isinstance(value, list) else [value]
        unknown = [kind for kind in kinds if kind not in _TYPES]
        if unknown:
            raise _refuse(name, place, f"`{unknown[0]}` is no type; take one of {', '.join(sorted(_TYPES))}")
    elif key == "$ref":
        if not _resolves(value, root):
            raise _refuse(name, place, f"`{value}` leads nowhere; define it under `$defs`")
    elif key == "pattern":
        try:
            re.compile(value)
        except re.error as error:
            raise _refuse(name, place, f"the pattern is not regular: {error}") from None
        if _LOOK_AROUND.search(value):
            raise _refuse(name, place, "the pattern looks around or back; write it without")


def _resolves(reference: str, root: Mapping[str, Any]) -> bool:
    if not reference.startswith("#"):
        return False
    at: Any = root
    for step in reference.removeprefix("#").split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(at, Mapping) or step not in at:
            return False
        at = cast("Mapping[str, Any]", at)[step]
    return True
