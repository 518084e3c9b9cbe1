"""Threads in Postgres: the tables, what is refused, and an agent that keeps its threads there."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from stretto import Agent
from stretto.errors import ConfigError, ThreadError
from stretto.graph import Conversation
from stretto.messages import Message
from stretto.testing import ScriptedModel
from stretto.threads.postgres import postgres_threads
from stretto.threads.stores import open_store, store_of
from stretto.threads.tables import FORMAT, TABLES


def rows(url: str, query: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def echoing(**options: Any) -> Agent:
    return Agent(model=ScriptedModel(otherwise=lambda asked: asked.messages[-1].text.upper()), **options)


async def test_all_tables_are_made_in_a_schema_of_their_own_beside_the_users(postgres: str) -> None:
    with psycopg.connect(postgres) as connection:
        connection.execute("CREATE TABLE events (mine TEXT)")
    async with open_store("postgres", postgres, Conversation):
        pass
    made = rows(postgres, "SELECT tablename FROM pg_tables WHERE schemaname = 'stretto'")
    declared = {words[5] for table in TABLES if (words := table.split())[1] == "TABLE"}
    assert {name for (name,) in made} == declared | {"format"} and len(declared) >= 11
    columns = "SELECT column_name FROM information_schema.columns WHERE table_schema = "
    assert rows(postgres, columns + "'public'") == [("mine",)]
    unordered = "'stretto' AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'"
    assert rows(postgres, columns + unordered) == []  # by bytes, as in sqlite


async def test_threads_of_a_later_version_are_refused_and_left_as_they_are(postgres: str) -> None:
    async with open_store("postgres", postgres, Conversation):
        pass
    with psycopg.connect(postgres) as connection:
        connection.execute("UPDATE stretto.format SET format = 9")
    with pytest.raises(ThreadError, match=rf"have format 9, and this version reads format {FORMAT}; use the"):
        async with open_store("postgres", postgres, Conversation):
            pass
    assert rows(postgres, "SELECT format FROM stretto.format") == [(9,)]


@pytest.mark.parametrize("there", ["the tables", "an empty schema"])
async def test_a_role_that_may_make_no_schema_can_use_one_that_is_there(there: str, postgres: str) -> None:
    role = f"writer_{postgres.rpartition('_')[2]}"
    limited = postgres.replace("keeper", role)
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'correct-horse'".encode())
        with pytest.raises(ThreadError, match="permission denied for database"):
            await postgres_threads(limited).transact(lambda connection: None)
        if there == "the tables":
            await postgres_threads(postgres).transact(lambda connection: None)
            granted = (
                f"USAGE ON SCHEMA stretto TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA stretto TO {role}"
            )
        else:
            connection.execute(b"CREATE SCHEMA stretto")
            granted = f"USAGE, CREATE ON SCHEMA stretto TO {role}"
        connection.execute(f"GRANT {granted}".encode())
        agent = echoing(threads=limited)
        assert (await agent.run("one", thread_id="t")).output == "ONE"
        await agent.close()
        connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


FIRST = """
import sys
from stretto.threads.postgres import postgres_threads
print("ready", flush=True)
sys.stdin.readline()
database = postgres_threads(sys.argv[1])
database.transact_now(lambda connection: connection.execute("SELECT * FROM checkpoints"))
database.close()
"""


def test_processes_that_open_an_empty_database_at_once_all_can(postgres: str) -> None:
    command = [sys.executable, "-c", FIRST, postgres]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    children = [subprocess.Popen(command, **pipes) for _ in range(4)]
    assert [child.stdout.readline() for child in children] == ["ready\n"] * 4
    for child in children:
        child.stdin.write("\n")
        child.stdin.flush()
    assert [(child.communicate(timeout=60), child.returncode)[1] for child in children] == [0] * 4
    assert rows(postgres, "SELECT format FROM stretto.format") == [(FORMAT,)]


async def test_threads_of_many_turns_at_once_are_all_kept(postgres: str) -> None:
    agents = [echoing(threads=postgres) for _ in range(2)]
    for question in ("one", "two"):
        turns = [agents[n % 2].run(f"{question} {n}", thread_id=str(n)) for n in range(24)]
        assert [one.output for one in await asyncio.gather(*turns)] == [
            f"{question.upper()} {n}" for n in range(24)
        ]
    assert [message.text for message in await agents[0].messages("7")] == [
        "one 7",
        "ONE 7",
        "two 7",
        "TWO 7",
    ]
    for agent in agents:
        await agent.close()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
async def test_a_project_keeps_its_threads_where_its_file_or_the_environment_says(
    scheme: str, postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = postgres.replace("postgresql", scheme)
    (tmp_path / "agents" / "a").mkdir(parents=True)
    (tmp_path / "agents" / "a" / "agent.yaml").write_text("description: echoes\n")
    graph = """
from stretto import END, START, Graph, Message
from stretto.graph import Conversation

async def echo(state: Conversation) -> Conversation:
    return {"messages": [Message.assistant(state["question"].upper())]}

def build(spec):
    return Graph().add_node("echo", echo).add_edge(START, "echo").add_edge("echo", END)
"""
    (tmp_path / "agents" / "a" / "graph.py").write_text(graph)
    (tmp_path / "stretto.yaml").write_text(f"threads: {url}\n")
    agent = Agent.from_folder("a")
    await agent.run("one", thread_id="t")
    await agent.close()
    assert rows(postgres, "SELECT DISTINCT thread_id FROM stretto.checkpoints") == [("t",)]
    monkeypatch.setenv("STRETTO_THREADS", "kept/here.sqlite")
    agent = Agent.from_folder("a")
    assert await agent.messages("t") == []
    await agent.close()
    assert (tmp_path / "kept" / "here.sqlite").is_file()
    assert {path.name for path in tmp_path.iterdir()} <= {"agents", "kept", "stretto.yaml", ".stretto"}


async def test_what_is_spent_is_counted_in_the_project_where_threads_are_in_a_database(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    agent = echoing(threads=postgres, budgets={"thread": {"calls": 1}})
    await agent.run("one", thread_id="t")
    await agent.close()
    assert [path.name for path in tmp_path.iterdir()] == [".stretto"]
    assert (tmp_path / ".stretto" / "counters.sqlite").is_file()


def test_a_url_of_something_else_is_refused_and_not_taken_for_a_path(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"cannot be kept in `mysql://\.\.\.`; give a path, `memory`, or post"
    ):
        echoing(threads="mysql://root:secret@there/x")
    places = {"memory": "memory", "Postgres://h/n": "postgres", "a/b": "sqlite", tmp_path: "sqlite"}
    assert {place: store_of(place) for place in places} == places


async def test_a_message_comes_back_whole(postgres: str) -> None:
    agent = echoing(threads=postgres)
    await agent.run(Message.user("naïve ☃ \\x00 %s ?"), thread_id="100% of 'it'?")
    said = await agent.messages("100% of 'it'?")
    assert [message.text for message in said] == ["naïve ☃ \\x00 %s ?", "NAÏVE ☃ \\X00 %S ?"]
    await agent.close()


async def test_what_else_libpq_reads_from_a_url_or_the_environment_holds(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "correct-horse")
    url = postgres.replace(":correct-horse", "") + "?options=-csynchronous_commit%3Doff"
    database = postgres_threads(url)
    said = await database.transact(
        lambda connection: connection.execute("SHOW synchronous_commit").fetchone()
    )
    assert said == ("off",)
    database.close()
