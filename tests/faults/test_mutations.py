"""Each guard of a conversation is taken away, one at a time, and a test sees it. A new guard gets a line.

`STRETTO_MUTANTS=all`, which `make faults` sets, takes those away too whose tests wait for something.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import stretto

SOURCE = Path(stretto.__file__).parent
TESTS = Path(__file__).parents[1]


class Mutation(NamedTuple):
    """One guard that is taken away."""

    name: str
    file: str
    """Under `src/stretto`."""
    old: str
    new: str
    tests: str
    """A test of `tests`, with its file; one of those that are to fail."""
    slow: bool = False
    """Whether only `make faults` takes it away."""


MUTATIONS = [
    Mutation(
        "the token of a lease is not looked at",
        "threads/runs.py",
        "return found is not None and found[0] == token",
        "return True",
        "threads/test_turns.py::test_a_turn_whose_thread_another_one_was_given_writes_nothing_before_that_one_does",
    ),
    Mutation(
        "a checkpoint need not follow the tip",
        "threads/checkpoint/writer.py",
        "if tip in (None, parent, checkpoint_id, given.get(TIP)):",
        "if True:",
        "threads/checkpoint/test_writer.py::test_a_fork_is_held_to_one_writer_too",
    ),
    Mutation(
        "nothing is recalled from the journal",
        "steps.py",
        "recalled = await journal.recall(self.scope[1])",
        "recalled = Recalled({}, {})",
        "agent/test_journal.py::test_a_turn_that_was_left_in_a_tool_goes_on_without_asking_again",
    ),
    Mutation(
        "no intent is noted",
        "threads/journal.py",
        "await self._write(_INTEND, rows, check)",
        "await self._write(_INTEND, [], check)",
        "agent/test_journal.py::test_once_goes_to_a_person_who_may_say_three_things",
    ),
    Mutation(
        "what is done is not noted",
        "threads/journal.py",
        "await self._write(_SETTLE, [row])",
        "await self._write(_SETTLE, [])",
        "agent/test_effects.py::test_the_timeout_of_a_once_tool_stays_what_it_was_when_the_node_runs_again",
    ),
    Mutation(
        "two may begin one effect",
        "threads/journal.py",
        "if (found[0] if found else None) != effect.after:",
        "if False:",
        "threads/test_journal.py::test_of_two_processes_in_one_node_one_begins_an_effect",
    ),
    Mutation(
        "an approval holds for any call",
        "tools/execute.py",
        "return ctx.ask(question, call_id=call.id, bound=bound)",
        "return ctx.ask(question, call_id=call.id)",
        "agent/test_effects.py::test_an_approval_holds_for_exactly_one_call",
    ),
    Mutation(
        "a call that was left gets no answer",
        "agent/opened.py",
        "whole = [*answered([*before, *rounds]), *added]",
        "whole = [*before, *rounds, *added]",
        "agent/test_left_threads.py::test_a_call_left_in_a_tool_node_is_answered_when_the_thread_goes_on",
    ),
    Mutation(
        "what is said again is not taken back",
        "agent/thread_turn.py",
        "self._take_back(seen.said_since(frozenset(standing.next)), _TAKEN_UP)",
        "pass",
        "agent/test_running.py::test_what_an_agent_leaves_when_it_closes_the_next_one_takes_up",
    ),
    Mutation(
        "a turn whose last nodes have ended counts as ended",
        "graph/stream.py",
        "ended=tuple(task.name for task in snapshot.tasks if task.name not in snapshot.next),",
        "ended=(),",
        "agent/test_killed_steps.py",
    ),
    Mutation(
        "what the last nodes gave is dropped",
        "agent/opened.py",
        "if standing.ended and not standing.next:",
        "if False:",
        "agent/test_killed_steps.py::test_the_next_question_drops_nothing_that_was_answered_before",
    ),
    Mutation(
        "a run that has not begun is not handed over",
        "agent/running.py",
        '            await hold.end("cancelled", packed)\n\n',
        "            pass\n\n",
        "agent/test_running.py::test_a_run_that_has_not_begun_when_its_agent_closes_is_left_to_the_next",
        slow=True,
    ),
    Mutation(
        "the last events are not kept with the end of their run",
        "threads/turns.py",
        "if mine and last is not None:",
        "if False:",
        "agent/test_running.py::test_a_run_has_ended_exactly_when_its_events_say_so",
    ),
    Mutation(
        "a sweep drops what threads hold",
        "media/references.py",
        "for reference in await self.unheld([*sizes]):",
        "for reference in sizes:",
        "media/test_references.py::test_a_sweep_drops_what_nobody_holds_once_it_is_old_enough",
    ),
    Mutation(
        "a thread's rows outlive it",
        "threads/deletion.py",
        '    for table in BY_THREAD:\n        connection.execute(f"DELETE',
        '    for table in BY_THREAD[1:]:\n        connection.execute(f"DELETE',
        "threads/test_deletion.py::test_no_table_keeps_a_row_of_a_deleted_thread",
    ),
]
CHOSEN = [each for each in MUTATIONS if not each.slow or os.environ.get("STRETTO_MUTANTS") == "all"]


def without(guard: Mutation, folder: Path) -> Path:
    """A copy of the source without this guard."""
    copy = folder / "src" / "stretto"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    file = copy / guard.file
    text = file.read_text()
    assert text.count(guard.old) == 1, (
        f"`{guard.name}`: {guard.file} has {text.count(guard.old)} times: {guard.old}"
    )
    file.write_text(text.replace(guard.old, guard.new))
    return copy.parent


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("guard", CHOSEN, ids=lambda guard: guard.name.replace(" ", "-"))
def test_a_guard_that_is_gone_is_seen(guard: Mutation, tmp_path: Path) -> None:
    source = without(guard, tmp_path)
    played = [str(TESTS / guard.tests), f"--basetemp={tmp_path / 'tests'}"]
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "--timeout=60", *played],
        env={**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
    )
    said = told.stdout[-2000:]
    assert told.returncode == 1, f"`{guard.name}`: {guard.tests} sees nothing of it\n{said}{told.stderr}"
