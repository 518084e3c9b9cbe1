"""`ThreadTurn`: a turn that has its thread to itself. Knows no line and no caller.

It begins anew when messages are merged into it, goes on where an earlier one was left, and keeps what it said
when it is stopped.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from stretto.agent.heard import Heard
from stretto.agent.opened import Kept, Opened
from stretto.agent.question import Asked
from stretto.agent.rounds import left_rounds
from stretto.context import Run, RunContext
from stretto.errors import ThreadError
from stretto.events import Retracted
from stretto.graph.pause import kept_for
from stretto.graph.stream import Played, ThreadStanding, add_to_thread, play, thread_standing
from stretto.messages import Message
from stretto.steps import ANSWERS
from stretto.threads.record import Shown
from stretto.threads.runs import Left
from stretto.threads.turns import Hold

_ANOTHER_CAME = "another message came, and the answer begins anew"
_TAKEN_UP = "the program ended while this was said, and goes on"


class Turned(NamedTuple):
    """The end of a turn in a thread."""

    state: Mapping[str, Any]
    questions: Mapping[str, Any]
    stopped: bool = False


class ThreadTurn:
    """One turn.

    Args:
        opened: The agent's.
        store: Where the thread is kept.
        run: With the lease of the thread.
        hold: Through which others ask it to make room.
        merges: Whether it takes in what waits behind it.
    """

    def __init__(self, opened: Opened, store: Kept, run: Run, hold: Hold, *, merges: bool) -> None:
        self._opened, self._store, self._run, self._hold = opened, store, run, hold
        self._merges = merges
        self._journal = opened.keep_steps(store, run)
        self._fresh = self._begun = False
        self._heard = Heard(run.sink)
        run.sink = self._heard

    async def play(self, asked: Asked, seen: Shown | None) -> Turned:
        """Plays it to its end.

        Args:
            asked: Neither question nor answers: it goes on where the turn before was left.
            seen: What was seen of it before its process ended.
        """
        new = [asked.message] if asked.message else []
        answers, again = asked.answers, seen is not None or not (asked.message or asked.answers)
        if seen is not None:
            self._heard.say(seen.text)
        takes_in = self._merges and not answers and not again
        while True:
            if self._hold.wish == "stop":
                return await self._stopped(new)
            if (takes_in or self._hold.wish == "merge") and not answers:
                came = _messages(await self._hold.merge())
                again = again and not came
                new += came
                self._begin_anew()
            played = await (self._again(new, answers, seen) if again else self._once(new, answers))
            if played is not None:
                return await self._ended(played)
            self._begun, takes_in = True, False

    async def _ended(self, played: Played) -> Turned:
        """Lets go of what is not needed any more."""
        waiting = bool(played.questions)
        if not waiting:
            self._hold.at_end.append(self._journal.end)
        await self._opened.prune(
            self._store.compiled, self._run.thread_id, waiting=waiting, fresh=self._fresh
        )
        return Turned(*played)

    async def _once(self, new: Sequence[Message], answers: Mapping[str, Any] | None) -> Played | None:
        """From its question, or with its answers."""
        if answers is not None:
            return await self._play(None, {}, answers)
        earlier = _messages(self._hold.left)
        turn_input, before = await self._opened.begin(earlier, new or earlier, self._run)
        self._fresh = not before
        if self._fresh:
            await self._opened.make_room(self._store.compiled)
        return await self._play(turn_input, before, None)

    async def _again(
        self, new: Sequence[Message], answers: Mapping[str, Any] | None, seen: Shown | None
    ) -> Played | None:
        """On where the turn before was left, or where this one was."""
        standing = await thread_standing(self._store.compiled, self._run.thread_id)
        known = {message.id for message in standing.state.get("messages") or ()}
        if any(message.id not in known for message in (*_messages(self._hold.left), *new)):
            self._take_back(len(self._heard.text), _TAKEN_UP)
            return await self._once(new, None)
        given = {call_id: each for call_id, each in (answers or {}).items() if call_id in standing.questions}
        given = given or await self._answered(standing)
        if given:
            return await self._play(None, {}, given)
        if standing.questions or (not standing.unfinished and (seen is not None or self._hold.left)):
            return Played(standing.state, standing.questions)
        if not standing.unfinished:
            raise ThreadError(
                f"thread `{self._run.thread_id}` was not left in the middle of a turn; ask it a question"
            )
        if seen is not None:
            self._take_back(seen.said_since(frozenset(standing.next)), _TAKEN_UP)
        return await self._play(None, standing.state, None)

    async def _answered(self, standing: ThreadStanding) -> dict[str, Any]:
        """What was answered to the questions that wait, before the process that was told ended."""
        found: dict[str, Any] = {}
        if standing.questions:
            for task_id in standing.pending:
                kept = (await self._journal.recall(task_id)).steps.get(ANSWERS)
                found |= kept_for(kept, standing.bounds) if kept else {}
        return found

    async def _play(
        self,
        turn_input: Mapping[str, Any] | None,
        before: Mapping[str, Any],
        answers: Mapping[str, Any] | None,
    ) -> Played | None:
        """What the graph gives; None where the turn made room for others."""
        playing = asyncio.create_task(
            play(self._store.compiled, turn_input, run=self._run, resume=answers, before=before)
        )

        def make_room() -> None:
            if self._hold.wish == "stop" or answers is None:
                playing.cancel()

        self._hold.on_wish = make_room
        if self._hold.wish:
            make_room()
        try:
            await asyncio.wait([playing])
        except asyncio.CancelledError:
            playing.cancel()
            await asyncio.wait([playing])
            raise
        finally:
            self._hold.on_wish = _nothing
        if playing.cancelled() and self._hold.wish:
            return None
        return playing.result()

    async def _stopped(self, new: Sequence[Message]) -> Turned:
        """Keeps what was asked, what was done and what was said until now."""
        run, compiled, journal = self._run, self._store.compiled, self._journal
        standing = await thread_standing(compiled, run.thread_id)
        if standing.questions and not self._begun:  # it waits for an answer as before
            return Turned({**standing.state, "output": ""}, {}, stopped=True)
        before: list[Message] = standing.state.get("messages") or []
        known = {message.id for message in before}
        added = [m for m in (*_messages(self._hold.left), *new) if m.id not in known]
        rest = self._heard.text
        if not added:
            last = max((index for index, message in enumerate(before) if message.role == "user"), default=-1)
            added = await left_rounds(journal, standing.pending, before)
            rest = _unsaid(rest, [*before[last + 1 :], *added])
        if rest.strip():
            added.append(Message("assistant", Message.assistant(rest).parts, id=f"{run.id}:stopped"))
        if added or standing.unfinished:
            await add_to_thread(compiled, run, added)
        self._hold.at_end.append(journal.end)
        after = (await thread_standing(compiled, run.thread_id)).state
        return Turned({**after, "output": self._heard.text}, {}, stopped=True)

    def _begin_anew(self) -> None:
        run = self._run
        self._take_back(len(self._heard.text), _ANOTHER_CAME)
        for gathered in (run.path, run.visits, run.citations, run.missing, run.tools):
            gathered.clear()

    def _take_back(self, length: int, reason: str) -> None:
        if length:
            RunContext(self._run).emit(Retracted(length=length, reason=reason))


def _unsaid(text: str, messages: Iterable[Message]) -> str:
    """The end of `text` that these messages do not say already."""
    for message in messages:
        said = message.text if message.role == "assistant" else ""
        if said and text.lstrip().startswith(said.lstrip()):
            text = text.lstrip()[len(said.lstrip()) :]
    return text


def _messages(left: Iterable[Left]) -> list[Message]:
    """What other runs were asked."""
    return [message for each in left if (message := Asked.unpacked(each.asked).message)]


def _nothing() -> None:
    """Nobody is listened to."""
