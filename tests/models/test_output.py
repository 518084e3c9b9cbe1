"""A shape becomes a schema, and an answer an object of it or an error that says what does not fit."""

import dataclasses
import datetime
from collections.abc import Callable
from typing import Any, TypedDict

import msgspec
import pydantic
import pytest

from stretto.errors import ConfigError, OutputInvalid
from stretto.messages import Message
from stretto.models.output import Form, again, output_schema, parse_output, told
from stretto.models.protocol import OutputSchema


class Line(pydantic.BaseModel):
    name: str
    price: float


class Invoice(pydantic.BaseModel):
    number: str
    due: datetime.date
    lines: list[Line] = []
    note: str | None = pydantic.Field(default=None, description="What else it says.")

    @pydantic.computed_field
    def total(self) -> float:
        return sum(line.price for line in self.lines)


@dataclasses.dataclass
class Size:
    frame: int


class Frame(msgspec.Struct):
    size: Size
    colour: str = "red"


class Place(TypedDict):
    city: str


@pydantic.dataclasses.dataclass
class Even:
    number: int

    @pydantic.field_validator("number")
    @classmethod
    def is_even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("it is odd")
        return value


CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
PLACE = OutputSchema("place", CITY)


@pytest.mark.parametrize(
    ("shape", "text", "value"),
    [
        (
            Invoice,
            '{"number": "7", "due": "2026-01-31"}',
            Invoice(number="7", due=datetime.date(2026, 1, 31)),
        ),
        (Size, '{"frame": 54}', Size(54)),
        (Frame, '{"size": {"frame": 54}}', Frame(Size(54))),
        (Place, '{"city": "Oslo"}', {"city": "Oslo"}),
        (Even, '{"number": 2}', Even(2)),
        (PLACE, '{"city": "Oslo"}', {"city": "Oslo"}),
        (CITY, '{"city": "Oslo"}', {"city": "Oslo"}),
    ],
    ids=[
        "pydantic",
        "dataclass",
        "msgspec",
        "TypedDict",
        "pydantic dataclass",
        "OutputSchema",
        "JSON Schema",
    ],
)
def test_each_kind_of_shape_gives_its_object_which_survives_as_plain_data(shape, text, value) -> None:
    form = Form(shape)
    assert form.parse(text) == value
    plain = form.plain(f"So: {text}")
    assert plain == msgspec.json.decode(text)
    assert form.revive(plain) == value


@pytest.mark.parametrize(
    ("shape", "text", "said"),
    [
        (Invoice, '{"number": 7, "due": "soon"}', r"valid string at `\$.number`; .*date.* at `\$.due`"),
        (Size, '{"frame": "tall"}', r"Expected `int`, got `str` - at `\$.frame`"),
        (Place, "{}", "missing required field `city`"),
        (Even, '{"number": 3}', r"it is odd at `\$.number`"),
        (PLACE, '{"city": 5}', r"5 is not of type 'string' at `\$.city`"),
        (PLACE, "Oslo", "malformed"),
        (PLACE, "[" * 50_000, "nested too deeply"),
    ],
)
def test_an_answer_that_does_not_fit_is_an_error_that_names_the_place_and_holds_the_text(
    shape, text: str, said: str
) -> None:
    with pytest.raises(OutputInvalid, match=said) as caught:
        parse_output(shape, text)
    assert caught.value.partial == text


def test_the_object_is_found_in_a_fence_and_among_words() -> None:
    assert parse_output(Size, 'Here it is:\n```json\n{"frame": 54}\n```\nDone.') == Size(54)


def test_a_type_gets_a_strict_schema_where_it_has_one() -> None:
    schema = output_schema(Invoice)
    assert schema.strict
    assert schema.schema["required"] == ["number", "due", "lines", "note"]
    assert schema.schema["additionalProperties"] is False
    assert schema.schema["$defs"]["Line"]["additionalProperties"] is False
    assert not output_schema(dataclasses.make_dataclass("Open", [("by_name", dict[str, int])])).strict


def test_a_schema_of_your_own_is_strict_where_that_asks_for_no_more_than_it_says() -> None:
    assert output_schema(PLACE) == OutputSchema("place", {**CITY, "additionalProperties": False})
    optional = OutputSchema("place", {**CITY, "required": []})
    assert output_schema(optional) == OutputSchema("place", optional.schema, strict=False)
    loose = OutputSchema("place", CITY, strict=False)
    assert output_schema(loose) == loose
    assert output_schema({**CITY, "title": "place"}).name == "place"
    assert Form(CITY).parse('{"city": "Oslo", "more": 1}') == {"city": "Oslo", "more": 1}


def test_a_schema_that_is_none_or_lies_elsewhere_is_refused_before_any_call() -> None:
    with pytest.raises(ConfigError, match="`x` is no JSON Schema: 'thing' is not valid"):
        Form(OutputSchema("x", {"type": "thing"}))
    with pytest.raises(
        ConfigError, match=r"`x` refers to `http://127.0.0.1:9/y`; put that under its `\$defs`"
    ):
        Form(OutputSchema("x", {"type": "array", "items": {"$ref": "http://127.0.0.1:9/y"}}))
    with pytest.raises(ConfigError, match="`object` has no JSON Schema"):
        Form(object)


class Calling(pydantic.BaseModel):
    back: Callable[[], int]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (Line(name="bell", price=9), "`output` is an object of `Line`; give the type itself: output=Line"),
        (Frame(Size(1)), "`output` is an object of `Frame`"),
        (Size(1), "`output` is an object of `Size`"),
        ("Line", "`output` is the text 'Line', not the type of that name; give a pydantic model"),
        (5, "`5` has no JSON Schema: Type '5' is not supported; give a pydantic model"),
        (dataclasses.make_dataclass("Lost", [("x", "Nowhere")]), "name 'Nowhere' is not defined; give a"),
        (Calling, "`Calling` has no JSON Schema: Cannot generate .*; give a pydantic model"),
        (list["Line"], "`list` has no JSON Schema: .*; give a pydantic model"),
        ({"name": str}, '`output` is no JSON Schema: `name` says nothing there; write {"type": "object"'),
        ({"properties": {"name": str}}, "`output` is no JSON Schema: <class 'str'> is not of type"),
    ],
)
def test_what_is_no_shape_is_told_with_what_to_give(given: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Form(given)


def test_a_list_of_a_shape_is_a_shape() -> None:
    assert Form(list[Line]).parse('[{"name": "bell", "price": 9}]') == [Line(name="bell", price=9)]
    assert Form(list[Size]).parse('Here: [{"frame": 9}]') == [Size(9)]


def test_for_an_endpoint_without_schemas_it_stands_at_the_end_of_the_instructions() -> None:
    first, second = told([Message.system("Be brief."), Message.user("Where?")], PLACE)
    assert first.role == "system"
    assert first.text.startswith("Be brief.\n\nAnswer with one JSON value")
    assert '"city"' in first.text
    assert second == Message.user("Where?")
    assert told([Message.user("Where?")], PLACE)[0].role == "system"


def test_a_model_is_told_what_did_not_fit() -> None:
    message = again(OutputInvalid("the answer does not fit `place`: no city"))
    assert message.role == "user"
    assert "the answer does not fit `place`: no city" in message.text
