"""One turn, from its question to its result: arrival, events, errors. Knows no HTTP and no terminal."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, cast

from stretto.agent.opened import Opened
from stretto.agent.question import Asked
from stretto.agent.thread_turn import ThreadTurn, Turned
from stretto.context import Run, RunContext
from stretto.errors import ThreadConflict
from stretto.events import ErrorRaised, Interrupted, RunFinished, RunStarted
from stretto.graph.stream import play
from stretto.messages import Message
from stretto.models.output import Form
from stretto.observe import logged
from stretto.results import Result
from stretto.threads.record import Shown, packed, unpacked
from stretto.threads.runs import SecondTurn, Ticket
from stretto.threads.turns import Hold


class Player:
    """Plays the turns of one agent.

    Args:
        name: The agent's.
        opened: Its graph, threads and media.
        prepare: Makes the agent ready, before its first turn.
        form: What answers have to fit.
        second_turn: What a turn does while another one of its thread runs.
    """

    def __init__(
        self,
        name: str,
        opened: Opened,
        *,
        prepare: Callable[[], Awaitable[Any]],
        form: Form | None,
        second_turn: SecondTurn,
    ) -> None:
        self._name, self._opened, self._prepare = name, opened, prepare
        self._form = form
        self._policy: SecondTurn = second_turn

    async def turn(self, run: Run, asked: Asked, *, kept: bool) -> Result:
        """A turn that ends when its caller leaves.

        Args:
            run: What its nodes share.
            asked: The question, or the answers.
            kept: Whether it is of a thread that goes on.
        """
        run.sink = logged(run.sink)

        async def whole() -> Result:
            try:
                ready = await self.ready(run, asked, kept=kept)
                hold = await self.arrive(run, ready) if self._opened.keeps(kept=kept) else None
            finally:
                self._start(run)
            return await (self._bare(run, ready) if hold is None else self._held(run, ready, hold, None))

        return await _told(run, whole())

    async def kept_turn(self, run: Run, asked: Asked, hold: Hold, seen: Shown | None) -> Result:
        """A turn that came to its thread before; `seen`: before its process ended."""
        if not run.number:
            self._start(run)
        return await _told(run, self._held(run, asked, hold, seen), hold)

    async def ready(self, run: Run, asked: Asked, *, kept: bool) -> Asked:
        """What is asked, once the agent is open, with references in place of pictures and documents."""
        await self._prepare()
        database = (await self._opened.kept()).database if self._opened.keeps(kept=kept) else None
        self._opened.serve_media(run, database)
        return Asked(await self._opened.take_in(asked.message, run)) if asked.message else asked

    async def arrive(self, run: Run, asked: Asked, *, kept: bool = False) -> Hold:
        """The run comes to its thread: from here on its question is not lost.

        Args:
            run: Of the thread.
            asked: What it was asked.
            kept: Whether it goes on when its process ends.

        Raises:
            ThreadBusy: Another one plays, and a second one is refused.
        """
        ticket = Ticket(run.id, run.thread_id, run.tenant, self._name, asked.packed(), kept, run.user)
        return await (await self._opened.kept()).turns.arrive(ticket, self._policy)

    def _start(self, run: Run) -> None:
        RunContext(run).emit(RunStarted(thread_id=run.thread_id, agent=self._name))

    async def _bare(self, run: Run, asked: Asked) -> Result:
        """A turn that no thread keeps."""
        turn_input = self._opened.first(asked.message) if asked.message else None
        compiled = await self._opened.bare(run)
        return self._result(run, Turned(*await play(compiled, turn_input, run=run, resume=asked.answers)))

    async def _held(self, run: Run, asked: Asked, hold: Hold, seen: Shown | None) -> Result:
        """A turn of a thread, once it is its turn."""
        status: Any = "failed"
        try:
            await hold.turn()
            if hold.taken_by:
                hold.result = await _of_leader(hold)
            else:
                run.lease = hold.token
                with self._opened.playing(run.thread_id):
                    turn = ThreadTurn(
                        self._opened,
                        await self._opened.kept(),
                        run,
                        hold,
                        merges=self._policy == "merge",
                    )
                    hold.result = self._result(run, await turn.play(asked, seen))
            status = hold.result.status
            return hold.result
        except asyncio.CancelledError:
            status = "cancelled"
            raise
        finally:
            await hold.end(status, packed)

    def _result(self, run: Run, turned: Turned) -> Result:
        final, questions = turned.state, turned.questions
        if self._form is not None and final.get("output") is not None and not turned.stopped:
            final = {**final, "output": self._form.revive(final["output"])}
        run.timings["total"] = time.perf_counter() - run.started
        hidden = ("messages", "output", "citations")
        return Result(
            output=final.get("output"),
            run_id=run.id,
            thread_id=run.thread_id,
            status="stopped" if turned.stopped else "interrupted" if questions else "done",
            citations=tuple(final.get("citations") or ()),
            path=tuple(run.path),
            tools=tuple(run.tools),
            usage=run.usage,
            timings=dict(run.timings),
            missing=tuple(run.missing),
            interrupts=dict(questions),
            messages=_added(final.get("messages") or ()),
            state={key: value for key, value in final.items() if key not in hidden},
        )


async def _told(run: Run, playing: Coroutine[Any, Any, Result], hold: Hold | None = None) -> Result:
    """What `playing` gives, with the events that end a run."""
    ctx = RunContext(run)
    try:
        result = await playing
    except asyncio.CancelledError:
        if hold is None or not hold.ticket.kept:
            ctx.emit(RunFinished(status="cancelled"))  # for the log: who watched has left
        raise
    except Exception as error:
        if not getattr(error, "_stretto_reported", False):  # the graph tells of what fails in a node
            ctx.emit(ErrorRaised(kind=type(error).__name__, message=str(error)))
        ctx.emit(RunFinished(status="failed"))
        raise
    if result.interrupts:
        ctx.emit(Interrupted(questions=result.interrupts))
    ctx.emit(RunFinished(status=cast(Any, result.status), result=result))
    return result


async def _of_leader(hold: Hold) -> Result:
    """The result of the turn that this one's question went into."""
    found = await hold.leaders_result()
    if isinstance(found, bytes) and found:
        return unpacked(found, Result)
    if not isinstance(found, Result):
        raise ThreadConflict(f"run `{hold.taken_by}` took this question in and did not end well; ask again")
    return found


def _added(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages after the last question."""
    last = max((index for index, message in enumerate(messages) if message.role == "user"), default=-1)
    return tuple(messages[last + 1 :])
