"""The strict form of a schema lists every property, closes every object, and is None where there is none."""

import pytest

from stretto.models.strict import strict_form


def an_object(**properties) -> dict:
    return {"type": "object", "properties": properties}


def test_objects_are_closed_and_all_their_properties_required_at_every_depth() -> None:
    schema = an_object(a={"type": "array", "items": an_object(b={"type": "string", "default": "x"})})
    assert strict_form(schema, fill=True) == {
        **an_object(
            a={
                "type": "array",
                "items": {
                    **an_object(b={"type": "string"}),
                    "required": ["b"],
                    "additionalProperties": False,
                },
            }
        ),
        "required": ["a"],
        "additionalProperties": False,
    }


def test_what_strict_mode_refuses_beside_the_shape_is_dropped() -> None:
    form = strict_form(
        an_object(
            a={"$ref": "#/$defs/A", "description": "x"},
            b={"oneOf": [{"type": "string"}, {"type": "null"}], "discriminator": {}},
            c={"type": "string", "format": "uri", "minLength": 1},
        ),
        fill=True,
    )
    assert form is not None
    assert form["properties"] == {
        "a": {"$ref": "#/$defs/A"},
        "b": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "c": {"type": "string", "minLength": 1},
    }


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "array", "items": {"type": "string"}},
        an_object(a={"type": "object", "additionalProperties": {"type": "integer"}}),
        an_object(a={"not": {"type": "string"}}),
        an_object(a=True),
        {**an_object(a={"type": "string"}), "patternProperties": {"^x": {"type": "string"}}},
    ],
)
def test_an_open_shape_has_no_strict_form(schema: dict) -> None:
    assert strict_form(schema, fill=True) is None


def test_optional_properties_are_required_only_where_asked() -> None:
    schema = an_object(a={"type": "string"}, b={"type": "string"})
    assert strict_form({**schema, "required": ["a"]}) is None
    assert strict_form({**schema, "required": ["a", "b"]}) == strict_form(schema, fill=True)


def test_a_strict_schema_is_its_own_form() -> None:
    form = strict_form(an_object(a={"type": "string"}), fill=True)
    assert form is not None
    assert strict_form(form) == form
