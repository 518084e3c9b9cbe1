"""The schema is checked here because the runtime drops a grammar it cannot compile without a word."""

import json
from typing import Any

import pytest

from stretto.errors import BadRequest
from stretto.models.local.constrain import grammar


def spoken(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema inside the grammar, without the white space settings."""
    head, _, body = grammar(schema, "answer").partition("%json ")
    assert head == "%llguidance {}\nstart: "
    found = json.loads(body)
    assert found.pop("x-guidance")["whitespace_flexible"] is False
    return found


def test_a_plain_object_is_kept_and_closed() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    assert spoken(schema) == {**schema, "additionalProperties": False}


def test_annotations_and_unknown_formats_are_dropped_at_every_depth() -> None:
    schema = {
        "title": "T",
        "type": "array",
        "uniqueItems": True,
        "items": {"type": "string", "format": "phone", "description": "d"},
    }
    assert spoken(schema) == {"type": "array", "items": {"type": "string"}}


def test_a_property_may_be_called_like_a_keyword() -> None:
    schema = {"type": "object", "properties": {"not": {"type": "string"}, "title": {"type": "string"}}}
    assert list(spoken(schema)["properties"]) == ["not", "title"]


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ({"not": {"type": "string"}}, "`not`"),
        ({"type": "object", "properties": {"a": {"if": {}}}}, "#/properties/a"),
        ({"type": "strange"}, "`strange`"),
        ({"type": "string", "pattern": "a(?=b)"}, "looks around"),
        ({"type": "string", "pattern": "("}, "not regular"),
        ({"$ref": "#/$defs/Nowhere"}, "leads nowhere"),
        ({"$ref": "https://example.com/schema.json"}, "leads nowhere"),
        ({"anyOf": [False]}, "#/anyOf/0"),
    ],
)
def test_what_the_grammar_cannot_say_is_named(schema: dict[str, Any], named: str) -> None:
    with pytest.raises(BadRequest, match="schema `answer`") as caught:
        grammar(schema, "answer")
    assert named in str(caught.value)


def test_a_reference_that_resolves_is_kept() -> None:
    schema = {"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "boolean"}}}
    assert spoken(schema) == schema
