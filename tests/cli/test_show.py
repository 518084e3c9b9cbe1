"""What the terminal shows of a structured answer: the object as JSON, once, when it is whole."""

import dataclasses
import io
import json

import pydantic
from rich.console import Console

from stretto import Agent
from stretto.cli.show import Show, marked
from stretto.results import Result
from stretto.testing import ScriptedModel


@dataclasses.dataclass
class Size:
    frame: int


class Bike(pydantic.BaseModel):
    name: str


async def test_an_object_is_printed_once_as_json() -> None:
    out = io.StringIO()
    show = Show(Console(file=out, width=200), who="desk")
    async for event in Agent(model=ScriptedModel('{"frame": 54}'), output=Size).stream("which?"):
        show.event(event)
    assert out.getvalue().count('"frame": 54') == 1


def test_objects_of_any_class_become_json() -> None:
    for value in (Size(54), {"frame": 54}, [Size(54)]):
        assert "54" in json.dumps(json.loads(marked(Result(value, "r", "t"))))
    assert json.loads(marked(Result(Bike(name="Alder"), "r", "t"))) == {"name": "Alder"}
