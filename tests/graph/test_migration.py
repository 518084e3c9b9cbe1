"""A new form is written whole or not at all, and what cannot be brought into it is refused by name."""

from pathlib import Path
from typing import Any, TypedDict

import pytest

from stretto._internal import faults
from stretto.context import Run, RunContext
from stretto.errors import ThreadOutdated
from stretto.graph import END, START, Graph
from stretto.graph.stream import play, thread_standing
from stretto.threads.stores import open_store


class Old(TypedDict, total=False):
    size: int
    heard: str


class New(TypedDict, total=False):
    length: int
    heard: str


async def measure(state: Any) -> dict[str, Any]:
    return {"size": 7}


async def ask(state: Any, ctx: RunContext) -> dict[str, Any]:
    return {"heard": str(ctx.interrupt("Really?"))}


def migrate(state: Old, old: Any) -> dict[str, Any]:
    return {"length": state["size"]} if "size" in state else {}


def one(state: type[Any], **options: Any) -> Graph:
    return Graph(state, **options).add_node("ask", ask).add_edge(START, "ask").add_edge("ask", END)


async def paused(path: Path, graph: Graph, **given: Any) -> None:
    async with open_store("sqlite", path, *graph.states) as saver:
        assert (await play(graph.compile(saver), given, run=Run(), thread_id="t")).questions


@pytest.mark.parametrize("place", ["migrate.before", "migrate.after", "checkpoint"])
async def test_a_process_that_dies_on_the_way_leaves_a_thread_that_can_be_taken_up(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, now = tmp_path / "t.sqlite", one(New, migrate=migrate)
    await paused(path, one(Old), size=7)

    def die(name: str) -> None:
        if name == place:
            raise KeyboardInterrupt

    async with open_store("sqlite", path, *now.states) as saver:
        if place == "checkpoint":
            monkeypatch.setattr(saver, "aput", _dying)
        faults.listen(die)
        try:
            with pytest.raises(KeyboardInterrupt):
                await thread_standing(now.compile(saver), "t")
        finally:
            faults.listen(None)
    async with open_store("sqlite", path, *now.states) as saver:
        compiled = now.compile(saver)
        standing = await thread_standing(compiled, "t")
        assert (standing.state, standing.questions) == ({"length": 7}, {"ask": "Really?"})
        played = await play(compiled, None, resume={"ask": "yes"}, run=Run(), thread_id="t")
        assert played.state == {"length": 7, "heard": "yes"}


async def _dying(*given: Any) -> None:
    raise KeyboardInterrupt


async def test_the_state_of_then_stays_as_an_older_checkpoint(tmp_path: Path) -> None:
    path, now = tmp_path / "t.sqlite", one(New, migrate=migrate)
    await paused(path, one(Old), size=7)
    async with open_store("sqlite", path, *now.states) as saver:
        await thread_standing(now.compile(saver), "t")
        states = [item.checkpoint["channel_values"] async for item in saver.alist(None)]
    assert [(state.get("length"), state.get("size")) for state in states] == [(7, None), (None, 7)]


async def test_what_a_finished_branch_wrote_is_not_lost_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"

    def two(state: type[Any], function: Any, **options: Any) -> Graph:
        return one(state, **options).add_node("m", function).add_edge(START, "m").add_edge("m", END)

    async def nothing(state: Any) -> dict[str, Any]:
        return {}

    await paused(path, two(Old, measure), heard="well")
    now = two(New, nothing, migrate=migrate)
    async with open_store("sqlite", path, *now.states) as saver:
        with pytest.raises(ThreadOutdated, match="beside a finished branch that wrote `size`"):
            await thread_standing(now.compile(saver), "t")
