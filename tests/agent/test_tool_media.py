"""What tools return as pictures: kept once, referred to in the state, shown to a model that sees."""

from pathlib import Path

import pytest
from PIL import Image as Pillow

from stretto import Agent, Image, tool
from stretto.media import DirectoryStore
from stretto.messages import ToolCall, ToolResult
from stretto.models.protocol import Capabilities
from stretto.testing import ScriptedModel


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    file = tmp_path / "chart.png"
    Pillow.new("RGB", (30, 20), "navy").save(file)
    return file


def the_result(parts: object) -> ToolResult:
    (result,) = [part for part in parts if isinstance(part, ToolResult)]
    return result


@pytest.mark.parametrize("way", ["path", "data URL"])
async def test_a_tools_picture_is_a_reference_in_the_state_and_inline_for_a_model_that_sees(
    way: str, drawn: Path, tmp_path: Path
) -> None:
    @tool
    def chart() -> list[str | Image]:
        """Draws the sales."""
        picture = Image(drawn) if way == "path" else Image.from_bytes(drawn.read_bytes(), "image/png")
        return ["Sales:", picture]

    model = ScriptedModel(ToolCall("1", "chart"), "It is blue.", capabilities=Capabilities(vision=True))
    store = tmp_path / "media"
    async with Agent(model=model, tools=[chart], media=store, threads=tmp_path / "t.sqlite") as agent:
        await agent.run("How were sales?", thread_id="t")
        kept = the_result(part for message in await agent.messages("t") for part in message.parts)

    text, picture = kept.content
    assert (text.text, picture.media_type, picture.width, picture.height) == ("Sales:", "image/png", 30, 20)
    assert picture.source.startswith("media:")
    assert await DirectoryStore(store).read(picture.source) == drawn.read_bytes()
    told = the_result(part for message in model.requests[1].messages for part in message.parts)
    assert told.content[1].source.startswith("data:image/png;base64,")


async def test_a_model_that_does_not_see_is_told_that_there_was_a_picture(
    drawn: Path, tmp_path: Path
) -> None:
    @tool
    def chart() -> Image:
        """Draws the sales."""
        return Image(drawn, alt="a blue field")

    model = ScriptedModel(ToolCall("1", "chart"), "Blue, they say.", capabilities=Capabilities())
    await Agent(model=model, tools=[chart], media=tmp_path / "media").run("How were sales?")
    told = the_result(part for message in model.requests[1].messages for part in message.parts)
    assert told.text == "[picture chart.png: a blue field]"


async def test_a_picture_that_cannot_be_taken_in_is_a_failed_call_that_the_model_is_told_of(
    tmp_path: Path,
) -> None:
    @tool
    def chart() -> Image:
        """Draws the sales."""
        return Image.from_bytes(b"no picture at all", "image/png")

    model = ScriptedModel(ToolCall("1", "chart"), "There is no chart.")
    result = await Agent(model=model, tools=[chart], media=tmp_path / "media").run("How were sales?")
    assert result.tools[0].is_error
    assert [missing.node for missing in result.missing] == ["chart"]
    told = the_result(part for message in model.requests[1].messages for part in message.parts)
    assert told.is_error and "image/png" in told.text
