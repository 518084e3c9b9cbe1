"""With retrieval, vision, a tool or the model forced down, the reference agent ends its turn and says so.

Each case is made from a seed, which stands in its name: `pytest -k "seed-7-"` plays it again.
"""

import asyncio
import dataclasses
import random
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from stretto import Agent, Image
from stretto.agent.folder import build_graph, read_folder
from stretto.agent.spec import AgentSpec
from stretto.errors import (
    DamagedMedia,
    KnowledgeError,
    MediaError,
    ModelTimeout,
    ModelUnavailable,
    RateLimited,
    StoreBusy,
)
from stretto.messages import ToolCall
from stretto.models.protocol import Capabilities
from stretto.nodes import vision
from stretto.results import Result
from stretto.testing import ScriptedModel

pytestmark = [pytest.mark.slow, pytest.mark.model("minilm")]

ROOT = Path(__file__).resolve().parents[2]
NODES = {"retrieval": ("choose", "search"), "vision": ("look",), "model": ("answer", "act", "greet")}
"""The nodes that use what is down, and whose timeout is shortened where it hangs."""
SHORT = 0.5
SEEDS = 20
FAULTS: dict[str, list[BaseException]] = {
    "retrieval": [
        StoreBusy("another process owns the knowledge base; end it first"),
        KnowledgeError("the index cannot be read; build it again"),
        OSError(5, "Input/output error"),
        sqlite3.OperationalError("disk I/O error"),
        RuntimeError(""),
    ],
    "vision": [
        MediaError("the picture cannot be read at the moment"),
        DamagedMedia("the picture was changed in the store"),
        OSError(24, "Too many open files"),
        MemoryError("no memory for 90 million pixels"),
        ValueError("cannot reshape array"),
    ],
    "tool": [
        sqlite3.OperationalError("database is locked"),
        OSError(13, "Permission denied"),
        ConnectionRefusedError("the shop's computer is off"),
        KeyError("price"),
        ZeroDivisionError("division by zero"),
    ],
    "model": [
        ModelUnavailable("the endpoint refused the connection"),
        ModelTimeout("no answer within 60 s"),
        RateLimited("the endpoint said 429", retry_after=30.0),
        OSError(104, "Connection reset by peer"),
    ],
}
QUESTIONS = {
    "retrieval": ["How long may I return a saddle bag?", "How long is the frame of my Alder guaranteed?"],
    "vision": ["Can I return what is on this receipt?", "What was the full amount on this slip?"],
    "tool": ["Where is my order FC-1042?", "Is FC-1045 ready to be collected?"],
    "model": ["How long may I return a saddle bag?", "Where is my order FC-1042?", "Good morning!"],
}
TOOLS = {
    "order_status": '{"order_id": "FC-1042"}',
    "check_stock": '{"product": "floor pump"}',
    "open_return": '{"order_id": "FC-1039", "reason": "too tight"}',
}


@dataclass
class Down:
    """One case: what is down, how, and what is asked meanwhile."""

    seed: int
    part: str
    fault: BaseException | None = field(init=False)
    """None: it hangs."""
    question: str = field(init=False)
    tool: str = field(init=False)

    def __post_init__(self) -> None:
        draw = random.Random(f"{self.part} {self.seed}")
        faults = FAULTS[self.part]
        self.fault = ([*faults, None])[(self.seed // 3) % (len(faults) + 1)]
        self.question = draw.choice(QUESTIONS[self.part])
        self.tool = draw.choice(list(TOOLS))

    def __str__(self) -> str:
        how = "hangs" if self.fault is None else type(self.fault).__name__
        return f"seed-{self.seed}-{self.part}-{how}"


CASES = [Down(seed, ("retrieval", "vision", "tool")[seed % 3]) for seed in range(SEEDS)]
MODEL_CASES = [Down(seed, "model") for seed in range(0, 15, 3)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the reference project whose documents are read."""
    root = tmp_path_factory.mktemp("desk")
    shutil.copy(ROOT / "stretto.yaml", root)
    for folder in ("agents", "tools", "prompts"):
        shutil.copytree(
            ROOT / folder, root / folder, ignore=shutil.ignore_patterns(".stretto", "__pycache__")
        )

    async def fill() -> None:
        async with Agent.from_folder(root / "agents" / "support_desk"):
            pass

    asyncio.run(fill())
    return root


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """Ends what hangs in a thread when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def script(case: Down) -> ScriptedModel:
    """Two turns of a model that cannot see."""
    turns: list[Any] = []
    if case.part == "tool":
        turns.append(ToolCall("1", case.tool, TOOLS[case.tool]))
    turns.append("This is what I can say.")
    return ScriptedModel(*turns, otherwise=lambda request: "All is well again.", capabilities=Capabilities())


def question_of(case: Down) -> list[str | Image]:
    if case.part == "vision":
        return [case.question, Image(ROOT / "evals/support_desk/pictures/receipt-outlet.png")]
    return [case.question]


def force_down(
    case: Down, spec: AgentSpec, patch: pytest.MonkeyPatch, model: ScriptedModel, released: threading.Event
) -> None:
    async def fails(*given: Any, **named: Any) -> Any:
        if case.fault is not None:
            raise case.fault
        await asyncio.Event().wait()

    async def streams(*given: Any, **named: Any) -> Any:
        await fails()
        yield

    def sync_fails(*given: Any, **named: Any) -> Any:
        if case.fault is not None:
            raise case.fault
        released.wait(60)

    if case.part == "retrieval":
        patch.setattr(spec.knowledge, "search", fails)
    elif case.part == "vision":
        patch.setitem(vision.__globals__, "read_locally", fails)
    elif case.part == "model":
        patch.setattr(model, "stream", streams)
    else:
        (tool,) = [tool for tool in spec.tools if tool.name == case.tool]
        patch.setattr(tool, "function", sync_fails)
        patch.setattr(tool, "timeout", SHORT)


async def play(
    case: Down, project: Path, patch: pytest.MonkeyPatch, released: threading.Event
) -> tuple[Result, Result]:
    """The turn with the part down, and the next one in the same thread with it up again."""
    spec, _ = read_folder(project / "agents" / "support_desk")
    model = spec.models.chat = script(case)
    graph = build_graph(spec)
    if case.fault is None:
        graph.nodes[:] = [
            dataclasses.replace(node, timeout=SHORT) if node.name in NODES.get(case.part, ()) else node
            for node in graph.nodes
        ]
    store, thread = spec.project.storage, str(case)
    kept: dict[str, Any] = {"threads": store / "threads.sqlite", "media": store / "media"}
    agent = Agent(graph, knowledge=spec.knowledge, **kept)
    later = Agent(build_graph(spec), knowledge=spec.knowledge, **kept)  # with the timeouts as they are
    try:
        await spec.models.embed.embed(["warm"])  # so that a shortened timeout measures the hang alone
        with patch.context() as down:
            force_down(case, spec, down, model, released)
            first = await agent.run(question_of(case), thread_id=thread)
        return first, await later.run("Thanks a lot, you saved my day.", thread_id=thread)
    finally:
        await agent.close()
        await later.close()
        await spec.models.close()


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_the_turn_ends_and_says_what_was_missing(
    case: Down, project: Path, monkeypatch: pytest.MonkeyPatch, released: threading.Event
) -> None:
    first, second = await play(case, project, monkeypatch, released)
    seen = f"{case}: {first}"
    name = {"retrieval": "search", "vision": "look", "tool": case.tool}[case.part]
    assert first.status == "done" and "This is what I can say." in first.output, seen
    assert name in [missing.node for missing in first.missing], seen
    assert "without a part of my means" in first.output and f"{name}: " in first.output, seen
    assert [node for node in first.path if node != "support"][-1] == (
        "act" if case.part == "tool" else "answer"
    ), seen
    assert case.part == "tool" or name in first.path, seen
    assert "Traceback" not in first.output, seen
    if case.part == "tool":
        assert [(tool.name, tool.is_error) for tool in first.tools] == [(case.tool, True)], seen
    assert (second.output, second.missing) == ("All is well again.", ()), f"{case}: {second}"


@pytest.mark.parametrize("case", MODEL_CASES, ids=str)
async def test_without_its_model_it_says_sorry(
    case: Down, project: Path, monkeypatch: pytest.MonkeyPatch, released: threading.Event
) -> None:
    first, second = await play(case, project, monkeypatch, released)
    seen = f"{case}: {first}"
    (missing,) = first.missing
    assert missing.node in NODES["model"] and first.path[-2:] == (missing.node, "sorry"), seen
    assert f"{missing.node}: {missing.reason}" in first.output and "I am sorry" in first.output, seen
    assert second.missing == () and second.path[-1] != "sorry", f"{case}: {second}"


def test_the_seeds_draw_every_part_and_every_kind_of_fault() -> None:
    drawn = {(case.part, type(case.fault)) for case in [*CASES, *MODEL_CASES]}
    wanted = {(part, type(fault)) for part, faults in FAULTS.items() for fault in [*faults, None]}
    assert drawn == wanted
    assert len(CASES) == 20
