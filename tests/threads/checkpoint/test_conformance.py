"""langgraph's own suite for savers, on those of ours."""

from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.conformance import checkpointer_test, validate

from stretto.graph import Conversation
from stretto.threads.stores import open_store

BASE = {"put", "put_writes", "get_tuple", "list", "delete_thread"}
ALL = BASE | {"delete_for_runs", "copy_thread", "prune"}


@pytest.mark.parametrize("key", [None, "ab" * 32], ids=["plain", "encrypted"])
@pytest.mark.parametrize("store", ["sqlite", "memory", pytest.param("postgres", marks=pytest.mark.slow)])
async def test_a_store_conforms(store: str, key: str | None, tmp_path: Path, request: Any) -> None:
    opened = 0
    new: Any = request.getfixturevalue("new_postgres") if store == "postgres" else None

    @checkpointer_test(name=store)
    async def saver() -> Any:
        nonlocal opened
        opened += 1
        place = new() if new else tmp_path / f"{opened}.sqlite"
        async with open_store(store, place, Conversation, key=key) as found:
            yield found

    report = await validate(saver)
    failures = [failure for result in report.results.values() for failure in result.failures]
    assert not failures
    assert {name for name, result in report.results.items() if result.passed} == ALL
