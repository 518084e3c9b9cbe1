"""An agent with `output` gives objects: in its result, in its stream, in threads and from agent.yaml."""

import json
from pathlib import Path
from typing import Literal

import msgspec
import pydantic
import pytest

from stretto import Agent, Graph
from stretto.errors import ConfigError, OutputInvalid
from stretto.events import OutputDelta, RunFinished, TextDelta
from stretto.graph import Conversation
from stretto.models import Model
from stretto.models.known import capabilities_of
from stretto.models.protocol import OutputSchema
from stretto.testing import ChatServer, ScriptedModel

ANSWER = '{"number": "R-7", "total": 38.5}'
SCHEMA = {
    "type": "object",
    "properties": {"number": {"type": "string"}, "total": {"type": "number"}},
    "required": ["number", "total"],
}


class Invoice(msgspec.Struct):
    """Not a class that a checkpoint could hold."""

    number: str
    total: float


class Verdict(pydantic.BaseModel):
    """With a default and a choice, for a real grammar."""

    colour: Literal["red", "green", "blue"]
    sure: bool = True


async def test_the_result_is_an_object_and_the_stream_shows_it_grow() -> None:
    agent = Agent(model=ScriptedModel(ANSWER), output=Invoice)
    events = [event async for event in agent.stream("Read it.")]
    assert isinstance(events[-1], RunFinished)
    assert events[-1].result.output == Invoice("R-7", 38.5)
    assert events[-1].result.timings["first_text"] > 0
    partials = [event.partial for event in events if isinstance(event, OutputDelta)]
    assert partials[-1] == {"number": "R-7", "total": 38.5}
    assert not any(isinstance(event, TextDelta) for event in events)


async def test_a_thread_goes_on_whatever_class_the_object_has(tmp_path: Path) -> None:
    async with Agent(model=ScriptedModel(ANSWER), output=Invoice, threads=tmp_path / "t.sqlite") as agent:
        assert (await agent.run("Read it.", thread_id="a")).output == Invoice("R-7", 38.5)
    model = ScriptedModel(ANSWER)
    async with Agent(model=model, output=Invoice, threads=tmp_path / "t.sqlite") as agent:
        assert (await agent.run("And again?", thread_id="a")).output == Invoice("R-7", 38.5)
    assert [message.text for message in model.requests[0].messages] == ["Read it.", ANSWER, "And again?"]


async def test_an_answer_that_never_fits_fails_the_run_with_the_raw_text() -> None:
    agent = Agent(model=ScriptedModel('{"number": 1}', "no"), output=OutputSchema("invoice", SCHEMA))
    with pytest.raises(OutputInvalid, match="`invoice`") as caught:
        await agent.run("Read it.")
    assert caught.value.partial == "no"


async def test_output_goes_with_the_preset_only() -> None:
    with pytest.raises(ConfigError, match="`output`, not both"):
        Agent(Graph(Conversation), output=Invoice)


@pytest.mark.parametrize("name", ["gpt-4o-mini", "gpt-4-turbo"])
async def test_an_endpoint_is_held_to_the_schema_or_told_of_it(name: str) -> None:
    async with ChatServer(f"```json\n{ANSWER}\n```") as server:
        model = Model(f"compatible:{name}", base_url=server.url)
        result = await Agent(model=model, output=Invoice, instructions="Read invoices.").run("Read it.")
        await model.close()
    assert result.output == Invoice("R-7", 38.5)
    (request,) = server.requests
    assert (request.schema is not None) is capabilities_of(name).json_schema
    assert ('"number"' in request.messages[0].text) is not capabilities_of(name).json_schema


@pytest.mark.parametrize("inline", [True, False])
async def test_agent_yaml_gives_a_schema_inline_or_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inline: bool
) -> None:
    monkeypatch.delenv("STRETTO_MODEL", raising=False)
    folder = tmp_path / "agents" / "reader"
    folder.mkdir(parents=True)
    (folder / "invoice.schema.json").write_text(json.dumps(SCHEMA))
    output = json.dumps(SCHEMA) if inline else "invoice.schema.json"
    async with ChatServer(ANSWER) as server:
        model = f"{{model: 'compatible:x', base_url: '{server.url}'}}"
        (folder / "agent.yaml").write_text(f"model: {model}\noutput: {output}\n")
        async with Agent.from_folder(folder, threads="memory") as agent:
            assert (await agent.run("Read it.")).output == {"number": "R-7", "total": 38.5}
    assert server.requests[0].schema.name == ("reader" if inline else "invoice")
    assert server.requests[0].schema.strict


@pytest.mark.parametrize(("content", "said"), [(None, "there is no file"), ("{", "is no JSON Schema")])
async def test_a_schema_file_that_is_missing_or_broken_is_named(
    tmp_path: Path, content: str | None, said: str
) -> None:
    (tmp_path / "agent.yaml").write_text("output: o.json\n")
    if content is not None:
        (tmp_path / "o.json").write_text(content)
    with pytest.raises(ConfigError, match=said):
        Agent.from_folder(tmp_path)


@pytest.mark.slow
@pytest.mark.model("smollm2-135m")
async def test_a_small_local_model_is_held_to_the_type() -> None:
    async with Agent(model="local:smollm2-135m", output=Verdict) as agent:
        result = await agent.run("Is grass green? Answer in JSON.")
    assert isinstance(result.output, Verdict)
    assert result.output.colour in ("red", "green", "blue")
    assert result.usage.calls == 1
