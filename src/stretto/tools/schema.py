"""From a function's signature and docstring to a JSON Schema, and from a model's arguments to Python values.

Knows neither tools nor runs. msgspec does the schema and the validation; pydantic models are recognised by
their methods and never imported here.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Union, cast, get_args, get_origin, get_type_hints

import msgspec

from stretto.context import RunContext
from stretto.errors import ConfigError, InvalidArguments

MAX_ARGUMENTS = 200_000
"""Characters of JSON that a call's arguments may have."""

Schema = dict[str, Any]

_SECTION = re.compile(
    r"^(Args|Arguments|Parameters|Returns?|Yields?|Raises|Examples?|Notes?):[ \t]*$", re.MULTILINE
)
_ARGUMENT = re.compile(r"^(\s+)\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")
_AT = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`$")


@dataclass(frozen=True)
class Parameters:
    """What a function takes from a model."""

    tool: str
    schema: Schema
    """A JSON Schema of type object."""
    fields: type[msgspec.Struct]
    context: str = ""
    """The parameter that takes the RunContext, hidden from the schema; empty if there is none."""

    def parse(self, arguments: str) -> dict[str, Any]:
        """The keyword arguments, as the signature's types, from the model's JSON text.

        Raises:
            InvalidArguments: The message names the field, what is wrong and what is allowed.
        """
        raw = read_object(self.tool, arguments)
        if problem := _unknown(raw, self.schema, self.schema.get("$defs", {}), ""):
            raise self._invalid(problem)
        try:
            values = msgspec.convert(raw, self.fields, strict=True, dec_hook=_decode)
        except (msgspec.ValidationError, RecursionError) as error:
            raise self._invalid(_problem(error)) from None
        return {name: getattr(values, name) for name in raw}

    def _invalid(self, problem: str) -> InvalidArguments:
        required, defs = self.schema.get("required", []), self.schema.get("$defs", {})
        allowed = ", ".join(
            f"`{name}` ({_kind(value, defs)}{'' if name in required else ', optional'})"
            for name, value in self.schema["properties"].items()
        )
        return InvalidArguments(
            f"The arguments of `{self.tool}` are wrong: {problem}. Allowed: {allowed or 'none'}."
        )


def read_object(tool: str, arguments: str) -> dict[str, Any]:
    """The JSON object in `arguments`; an empty text counts as `{}`. Raises InvalidArguments."""
    if len(arguments) > MAX_ARGUMENTS:
        raise InvalidArguments(f"The arguments of `{tool}` have more than {MAX_ARGUMENTS} characters.")
    try:
        raw: Any = msgspec.json.decode(arguments) if arguments.strip() else {}
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        detail = str(error).split(":")[0] if isinstance(error, msgspec.DecodeError) else "it cannot be read"
        raise InvalidArguments(f"The arguments of `{tool}` are not valid JSON: {detail}.") from None
    if not isinstance(raw, dict):
        raise InvalidArguments(f"The arguments of `{tool}` have to be one JSON object, such as {{}}.")
    return cast("dict[str, Any]", raw)


def describe(function: Callable[..., Any]) -> str:
    """The docstring without its sections: what a model is told about the function."""
    doc = inspect.cleandoc(function.__doc__ or "")
    section = _SECTION.search(doc)
    return (doc[: section.start()] if section else doc).strip()


def parameters_of(function: Callable[..., Any], *, tool: str) -> Parameters:
    """Reads a function's signature.

    Raises:
        ConfigError: A parameter has no annotation, or one that has no JSON Schema; the message names it.
    """
    where = place_of(function)
    try:
        hints = get_type_hints(function, include_extras=True)
        signature = inspect.signature(function)
    except (NameError, TypeError, ValueError, SyntaxError) as error:
        raise ConfigError(f"the annotations of `{tool}` cannot be read: {error}", where=where) from None
    context, fields, notes = "", list[Any](), dict[str, Schema]()
    texts = _argument_texts(function)
    for parameter in signature.parameters.values():
        annotation = hints.get(parameter.name, parameter.empty)
        _check_shape(parameter, annotation, tool, where)
        if RunContext in (annotation, *get_args(annotation)):
            context = parameter.name
            continue
        note: Schema = {}
        if text := _annotated_text(annotation) or texts.get(parameter.name, ""):
            note["description"] = text
        if parameter.default is parameter.empty:
            fields.append((parameter.name, annotation))
        else:
            _note_default(parameter.default, note)
            kinds = (annotation, msgspec.UnsetType) + ((None,) if parameter.default is None else ())
            fields.append((parameter.name, Union[kinds], msgspec.UNSET))  # noqa: UP007 (made at run time)
        _schema_of([fields[-1]], f"parameter `{parameter.name}` of `{tool}`", where)
        notes[parameter.name] = note
    schema, struct = _schema_of(fields, f"`{tool}`", where)
    for name, note in notes.items():
        schema["properties"][name].update(note)
    return Parameters(tool, schema, struct, context)


def place_of(function: Callable[..., Any]) -> str:
    """`file:line` of a function, empty where it has none."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else ""


def _check_shape(parameter: inspect.Parameter, annotation: Any, tool: str, where: str) -> None:
    name = f"parameter `{parameter.name}` of `{tool}`"
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
        raise ConfigError(f"{name} cannot be filled by name: write a plain parameter", where=where)
    if annotation is parameter.empty:
        raise ConfigError(
            f"{name} has no annotation: write its type, as in `{parameter.name}: str`", where=where
        )


def _schema_of(fields: list[Any], what: str, where: str) -> tuple[Schema, type[msgspec.Struct]]:
    hoisted: Schema = {}

    def foreign(kind: Any) -> Schema:
        if not hasattr(kind, "model_json_schema"):
            raise NotImplementedError
        schema: Schema = kind.model_json_schema(ref_template="#/$defs/{model}")
        hoisted.update(schema.pop("$defs", {}))
        return schema

    try:
        struct = msgspec.defstruct("Arguments", fields, kw_only=True)
        (root,), parts = msgspec.json.schema_components(
            [struct], schema_hook=foreign, ref_template="#/$defs/{name}"
        )
    except Exception as error:
        problem = str(error).splitlines()[-1] if str(error) else type(error).__name__
        raise ConfigError(
            f"{what} has no JSON Schema ({problem}): use str, int, float, bool, list, dict, tuple, Literal, "
            "Enum, TypedDict, a dataclass, a msgspec Struct or a pydantic model",
            where=where,
        ) from None
    schema = parts.pop(root["$ref"].rpartition("/")[2])
    schema.pop("title", None)
    if parts or hoisted:
        schema["$defs"] = {**hoisted, **parts}
    schema.setdefault("properties", {})
    _close(schema)
    return schema, struct


def _close(schema: Any) -> None:
    """Says in every object of the schema that it takes no other fields."""
    if isinstance(schema, dict):
        node = cast("Schema", schema)
        if node.get("type") == "object" and "properties" in node:
            node.setdefault("additionalProperties", False)
        for value in node.values():
            _close(value)
    elif isinstance(schema, list):
        for value in cast("list[Any]", schema):
            _close(value)


def _decode(kind: Any, value: Any) -> Any:
    if not hasattr(kind, "model_validate_json"):
        raise NotImplementedError
    try:
        return kind.model_validate_json(msgspec.json.encode(value), strict=True)
    except ValueError as error:
        listed: Any = getattr(error, "errors", None)
        if listed is None:
            raise
        text = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in listed())
        raise ValueError(text) from None


def _annotated_text(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        for note in get_args(annotation)[1:]:
            text = note if isinstance(note, str) else getattr(note, "description", None)
            if isinstance(text, str):
                return text
    return ""


def _note_default(default: Any, note: Schema) -> None:
    try:
        note["default"] = msgspec.json.decode(msgspec.json.encode(default))
    except (TypeError, NotImplementedError):
        return  # a default that JSON cannot say is still the function's own


def _argument_texts(function: Callable[..., Any]) -> dict[str, str]:
    """What a Google-style docstring says about each argument."""
    doc = inspect.cleandoc(function.__doc__ or "")
    start = re.search(r"^(?:Args|Arguments|Parameters):[ \t]*\n", doc, re.MULTILINE)
    if not start:
        return {}
    texts: dict[str, str] = {}
    name, margin = "", 0
    for line in doc[start.end() :].splitlines():
        if line.strip() and not line[0].isspace():
            break
        found = _ARGUMENT.match(line)
        if found and (not texts or len(found[1]) <= margin):
            name, margin = found[2], len(found[1])
            texts[name] = found[3].strip()
        elif name:
            texts[name] = f"{texts[name]} {line.strip()}".strip()
    return texts


def _resolve(schema: Schema, defs: Mapping[str, Schema]) -> Schema:
    reference = schema.get("$ref")
    return defs.get(reference.rpartition("/")[2], {}) if isinstance(reference, str) else schema


def _unknown(value: Any, schema: Schema, defs: Mapping[str, Schema], path: str) -> str:
    """What is in `value` that the schema does not name, or an empty text."""
    schema = _resolve(schema, defs)
    if branches := schema.get("anyOf"):
        kind = "object" if isinstance(value, dict) else "array"
        fitting = [branch for branch in branches if _resolve(branch, defs).get("type") == kind]
        return _unknown(value, fitting[0], defs, path) if len(fitting) == 1 else ""
    if isinstance(value, dict):
        return _unknown_key(cast("dict[str, Any]", value), schema, defs, path)
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        rows = enumerate(cast("list[Any]", value))
        return next(filter(None, (_unknown(v, schema["items"], defs, f"{path}[{i}]") for i, v in rows)), "")
    return ""


def _unknown_key(value: dict[str, Any], schema: Schema, defs: Mapping[str, Schema], path: str) -> str:
    known: Mapping[str, Any] = schema.get("properties", {})
    others = schema.get("additionalProperties")
    for key, inner in value.items():
        here = f"{path}.{key}" if path else key
        if key not in known and others is False:
            names = ", ".join(f"`{name}`" for name in known) or "no fields"
            return f"`{here}` is not known; {'here' if path else 'it'} takes {names}"
        below = known.get(key, others)
        if isinstance(below, dict) and (problem := _unknown(inner, cast("Schema", below), defs, here)):
            return problem
    return ""


def _problem(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    found = _AT.search(text)
    text = _AT.sub("", text).replace("Object missing required", "missing required").replace(" | unset", "")
    text = text[:1].lower() + text[1:]
    return f"`{found[1]}`: {text}" if found and found[1] else text


def _kind(schema: Schema, defs: Mapping[str, Schema]) -> str:
    schema = _resolve(schema, defs)
    if values := schema.get("enum"):
        return "one of " + ", ".join(msgspec.json.encode(value).decode() for value in values)
    if branches := schema.get("anyOf"):
        return " or ".join(_kind(branch, defs) for branch in branches)
    kind = str(schema.get("type", "any value"))
    if kind == "array" and isinstance(schema.get("items"), dict):
        return f"array of {_kind(schema['items'], defs)}"
    return kind
