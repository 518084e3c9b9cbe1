"""Commands set logging up for their process; here they share one. Endpoints and projects to run against."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stretto.testing import ChatServer

TOOLS = '''
from stretto import tool


@tool
def stock(product: str) -> str:
    """How many there are.

    Args:
        product: Its name.
    """
    return f"{product}: 23"


@tool(effect="once", approval=True)
def refund(order: str) -> str:
    """Pays an order back.

    Args:
        order: Its number.
    """
    return f"paid back {order}"
'''
RETURNS = "# Returns\n\nUnused goods can be returned within 30 days of the delivery.\n"
BELLS = "# Bells\n\nA bell costs nine pounds and is loud.\n"


@pytest.fixture(autouse=True)
def quiet_again() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("stretto")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:], _, _ = before
    root.setLevel(before[1])
    ours.setLevel(before[2])


@pytest.fixture
def serve() -> Iterator[Callable[..., ChatServer]]:
    """`serve(*turns)`: a chat endpoint in a thread of its own, for commands that run a loop of theirs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    started: list[ChatServer] = []

    def start(*turns: Any, **options: Any) -> ChatServer:
        chat = ChatServer(*turns, **options)
        asyncio.run_coroutine_threadsafe(chat.__aenter__(), loop).result(10)
        started.append(chat)
        return chat

    yield start
    for chat in started:
        asyncio.run_coroutine_threadsafe(chat.__aexit__(None, None, None), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small project: the agent `till` with tools, the agent `desk` with documents. The folder we are in."""
    files = {
        "stretto.yaml": "agent: till\n",
        "tools/shop.py": TOOLS,
        "agents/till/agent.yaml": "tools: [shop]\ninstructions: Be brief.\n",
        "agents/desk/agent.yaml": "knowledge: knowledge\n",
        "agents/desk/knowledge/returns.md": RETURNS,
        "agents/desk/knowledge/bells.md": BELLS,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


@pytest.fixture
def endpoint(
    shop: Path, serve: Callable[..., ChatServer], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., ChatServer]:
    """`endpoint(*turns)`: chat and embeddings of the project come from a server that plays `turns`."""

    def play(*turns: Any, **options: Any) -> ChatServer:
        server = serve(*turns, **options)
        monkeypatch.setenv("STRETTO_MODEL", "compatible:x")
        monkeypatch.setenv("STRETTO_EMBEDDER", "compatible:x")
        monkeypatch.setenv("STRETTO_BASE_URL", server.url)
        return server

    return play
