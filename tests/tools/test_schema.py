import dataclasses
import enum
import json
from typing import Annotated, Any, Literal, Optional, TypedDict

import msgspec
import pytest
from pydantic import BaseModel

from stretto.context import RunContext
from stretto.errors import ConfigError, InvalidArguments
from stretto.tools import tool
from stretto.tools.schema import MAX_ARGUMENTS


class Size(enum.Enum):
    small = "small"
    large = "large"


@dataclasses.dataclass
class Address:
    street: str
    number: int = 1


class Line(msgspec.Struct):
    sku: str
    amount: Annotated[int, msgspec.Meta(ge=1)] = 1


class Range(TypedDict, total=False):
    low: float
    high: float


class Guest(BaseModel):
    name: str
    age: int


class Party(BaseModel):
    host: Guest
    guests: list[Guest] = []


@tool
def order(
    customer: str,
    lines: list[Line],
    size: Size,
    to: Address,
    ctx: RunContext,
    way: Literal["post", "van"] = "post",
    price: Range | None = None,
    pair: tuple[int, str] = (1, "a"),
    tags: dict[str, int] = {},  # noqa: B006
    note: Annotated[str, "What the driver reads."] = "",
    party: Optional[Party] = None,  # noqa: UP045
    limit: int = None,  # noqa: RUF013
) -> Any:
    """Places an order.

    It is final.

    Args:
        customer: Who orders,
            by number.
        lines (list): What.
        way: note: how it travels.

    Returns:
        Nothing of use.
    """
    return {"customer": customer, "lines": lines, "size": size, "to": to, "party": party, "ctx": ctx}


GOOD = {"customer": "c1", "lines": [{"sku": "x"}], "size": "small", "to": {"street": "High"}}


def wrong(changes: dict) -> str:
    with pytest.raises(InvalidArguments) as error:
        order.parameters.parse(json.dumps({**GOOD, **changes}))
    return str(error.value)


def test_the_schema_says_types_defaults_descriptions_and_takes_no_other_fields():
    schema = order.spec.parameters
    assert order.spec.description == "Places an order.\n\nIt is final."
    assert schema["type"] == "object"
    assert schema["required"] == ["customer", "lines", "size", "to"]
    assert "ctx" not in schema["properties"]
    properties = schema["properties"]
    assert properties["customer"] == {"type": "string", "description": "Who orders, by number."}
    assert properties["way"] == {
        "enum": ["post", "van"],
        "description": "note: how it travels.",
        "default": "post",
    }
    assert properties["note"] == {"type": "string", "description": "What the driver reads.", "default": ""}
    assert properties["pair"]["default"] == [1, "a"]
    assert schema["$defs"]["Line"]["properties"]["amount"] == {"type": "integer", "minimum": 1, "default": 1}
    closed = [schema, *(schema["$defs"][name] for name in ("Line", "Address", "Range", "Guest"))]
    assert all(each["additionalProperties"] is False for each in closed)
    json.dumps(schema)


def test_arguments_become_the_types_of_the_signature():
    values = order.parameters.parse(
        json.dumps({**GOOD, "party": {"host": {"name": "Ann", "age": 3}}, "limit": None})
    )
    assert values["lines"] == [Line("x", 1)]
    assert values["size"] is Size.small
    assert values["to"] == Address("High", 1)
    assert values["party"] == Party(host=Guest(name="Ann", age=3))
    assert values["limit"] is None
    assert "way" not in values, "the function's own default holds"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"customer": 5}, "`customer`: expected `str`, got `int`"),
        ({"lines": [{"sku": "x", "amount": 0}]}, "`lines[0].amount`: expected `int` >= 1"),
        ({"lines": [{"sku": "x", "colour": "red"}]}, "`lines[0].colour` is not known; here takes `sku`"),
        ({"size": "huge"}, "`size`: invalid enum value 'huge'"),
        ({"to": {}}, "`to`: missing required field `street`"),
        ({"to": {"street": "High", "flat": 2}}, "`to.flat` is not known"),
        ({"price": {"low": 1, "middle": 2}}, "`price.middle` is not known"),
        ({"pair": [1]}, "`pair`: expected `array` of length 2"),
        (
            {"party": {"host": {"name": "Ann", "age": "3"}}},
            "`party`: host.age: Input should be a valid integer",
        ),
        ({"party": {"host": {"name": "A", "age": 3, "x": 1}}}, "`party.host.x` is not known"),
        ({"ctx": {}}, "`ctx` is not known"),
        ({"costumer": "c1"}, "`costumer` is not known; it takes `customer`"),
        ({"tags": {"a": "b"}}, "expected `int`, got `str`"),
    ],
)
def test_wrong_arguments_name_the_field_and_what_is_allowed(changes: dict, named: str):
    message = wrong(changes)
    assert named in message
    assert (
        'Allowed: `customer` (string), `lines` (array of object), `size` (one of "large", "small")' in message
    )


@pytest.mark.parametrize(
    "arguments", ["{", "[]", "3", "null", '"x"', "[" * 100_000, '{"a":"\udc80"}', " " * (MAX_ARGUMENTS + 1)]
)
def test_text_that_is_no_json_object_is_refused(arguments: str):
    with pytest.raises(InvalidArguments, match="`order`"):
        order.parameters.parse(arguments)


def test_a_missing_argument_is_named():
    with pytest.raises(InvalidArguments, match="missing required field `customer`"):
        order.parameters.parse("{}")


def test_strict_means_no_number_from_text_and_no_truth_from_numbers():
    @tool
    def f(count: int = 0, share: float = 0.0, sure: bool = False):
        return count

    assert f.parameters.parse('{"share": 1}') == {"share": 1.0}
    for bad in ('{"count": "1"}', '{"count": 1.0}', '{"count": true}', '{"sure": 1}', '{"share": "1"}'):
        with pytest.raises(InvalidArguments):
            f.parameters.parse(bad)


def test_no_arguments_at_all_are_an_empty_object():
    @tool
    def now() -> str:
        return "noon"

    assert now.spec.parameters == {
        "type": "object",
        "properties": {},
        "required": [],
        "additionalProperties": False,
    }
    assert now.parameters.parse("") == {}


class Opaque:
    pass


def bare(first, second: int): ...
def star(*names: str): ...
def keywords(**names: str): ...
def only(name: str, /): ...
def opaque(name: str, thing: Opaque): ...
def forward(name: "Nowhere"): ...  # noqa: F821
def mixed(name: int | Guest): ...


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (bare, "parameter `first` of `bare` has no annotation"),
        (star, "parameter `names` of `star`"),
        (keywords, "parameter `names` of `keywords`"),
        (only, "parameter `name` of `only`"),
        (opaque, "parameter `thing` of `opaque` has no JSON Schema"),
        (forward, "Nowhere"),
        (mixed, "parameter `name` of `mixed`"),
    ],
)
def test_a_signature_without_a_schema_is_refused_when_decorated(function: Any, named: str):
    with pytest.raises(ConfigError) as error:
        tool(function)
    assert named in str(error.value)
    assert error.value.where.startswith(__file__)
