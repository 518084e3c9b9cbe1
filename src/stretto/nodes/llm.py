"""`llm`: asks a chat model about the conversation, runs the tools it calls, attributes the answer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from stretto.context import RunContext
from stretto.documents import Hit
from stretto.events import TextDelta
from stretto.messages import Message, ToolSpec
from stretto.models.output import Form, Shape
from stretto.models.protocol import ChatModel, Embedder, Reply
from stretto.nodes.budgeted import affordable, context_for
from stretto.nodes.cited import Citing, Sources
from stretto.nodes.fitted import fitted
from stretto.nodes.node import ALL_TURNS, NodeFunction, State, Update, declares, question_of
from stretto.nodes.recall import noted
from stretto.nodes.route import Choice
from stretto.nodes.shown import looks_text, numbered, seen, shown
from stretto.nodes.voice import fitting, spoken
from stretto.prompts import Prompt
from stretto.results import Missing
from stretto.settings import ModelSettings
from stretto.tools import Tool
from stretto.tools.execute import execute
from stretto.usage import Usage

Values = Callable[[State], Mapping[str, str]]


def llm(
    model: ChatModel,
    *,
    prompt: Prompt | str = "",
    ask: Prompt | None = None,
    tools: Sequence[Tool] = (),
    schema: Shape | Form | None = None,
    settings: ModelSettings | None = None,
    cite: Citing | Embedder | bool = False,
    passages: int = 3,
    history: int | None = 4,
    max_rounds: int = 6,
    offer: Choice | None = None,
    relay: bool = False,
    values: Values | None = None,
) -> NodeFunction:
    """A node that answers.

    Args:
        model: Who answers.
        prompt: The instructions. A Prompt may use `{{question}}`, `{{passages}}`, `{{looks}}` and `values`.
        ask: How the last user message is put to the model; the thread keeps what the person wrote.
        tools: What the model may call.
        schema: The type of `output`, which `OutputDelta`s show grow; what does not fit is asked for again.
        settings: How the model is asked.
        cite: Tie the answer to the hits: True by words, an embedder by meaning too; `Citing(...)` says all.
        passages: How many hits the model is shown.
        history: How many turns are shown at least (`steady_turns`); None, or behind a summary: all that fit.
        max_rounds: How often the model may call tools before it has to answer.
        offer: Names the tool to call first, as `nearest(...)` does; None, or no name: the model decides.
        relay: What the tools return is the answer, word for word: no second call, nothing garbled.
        values: More values for the prompts, from the state.
    """
    play = _Toolset({tool.name: tool for tool in tools}, max_rounds, relay)
    form = schema if isinstance(schema, Form) or schema is None else Form(schema)

    @declares(
        reads=("messages", "question", "hits", "looks", "missing", "summary", "recalled"),
        writes=("messages", "output", "citations"),
        effects="external" if tools else "none",
    )
    async def answer(state: State, ctx: RunContext) -> Update:
        found, least = state.get("hits") or (), _least_turns(history, state)
        hits, turns = await context_for(found, ctx, passages=passages, history=least)
        known = _known(state, hits, values)
        text = say_missing(state.get("missing") or (), ctx) if form is None else ""
        sources = Sources(cite, hits, known["question"], ctx, checks=form is None)
        if not tools and sources.are_silent(state):
            return sources.abstained(text)
        conversation = noted(await shown(state, model, prompt, ask, known, turns, ctx), state)
        down = len(ctx.run.missing)
        offered = await offer(state, ctx) if offer else None
        voices = _Voices(model, sources.checked(affordable(model, ctx)))
        added, said, output = await _talk(voices, conversation, play.only(offered), form, settings, ctx)
        text += said + (say_missing(ctx.run.missing[down:], ctx, before="\n\n") if form is None else "")
        text, added, citations = await sources.settled(text, added, state)
        added[-1] = msgspec.structs.replace(added[-1], id=f"{ctx.run_id}:{ctx.node}")
        return {"messages": added, "output": text if form is None else output, "citations": citations}

    return answer


def _known(state: State, hits: Sequence[Hit], values: Values | None) -> dict[str, str]:
    """What a prompt may use."""
    known = {"question": question_of(state), "passages": numbered(hits), "looks": looks_text(state)}
    return {**known, **values(state)} if values else known


def _least_turns(history: int | None, state: State) -> int:
    """How many turns are shown: behind a summary every one that it does not stand for."""
    return ALL_TURNS if history is None or state.get("summary") else history


class _Toolset(NamedTuple):
    """The tools of a node, and how they are offered."""

    table: Mapping[str, Tool]
    rounds: int
    relay: bool = False
    first: str = ""
    """The tool that has to be called first."""

    def only(self, name: str | None) -> "_Toolset":
        """With `name` as the tool to be called first, if there is one of that name."""
        return self._replace(first=name) if name in self.table else self

    def at(self, round: int) -> tuple[tuple[ToolSpec, ...], ModelSettings]:
        """What the model is offered in a round, and how: nothing after the last one, so that it answers."""
        if round == self.rounds:
            return (), ModelSettings()
        if round == 0 and self.first:
            return (self.table[self.first].spec,), ModelSettings(tool_choice=self.first)
        return tuple(tool.spec for tool in self.table.values()), ModelSettings()


class _Voices(NamedTuple):
    """Who answers."""

    own: ChatModel
    """The model itself, for which tokens are counted."""
    model: ChatModel
    """The same, held to the run's budgets, its claims checked."""


async def _talk(
    voices: _Voices,
    conversation: Sequence[Message],
    tools: _Toolset,
    form: Form | None,
    settings: ModelSettings | None,
    ctx: RunContext,
) -> tuple[list[Message], str, Any]:
    """The messages up to the answer, with the rounds of tools before it, its text, and its object, if any."""
    added: list[Message] = []
    text = ""
    own, model = voices
    output: Any = None
    for number in range(tools.rounds + 1):
        specs, choice = tools.at(number)
        how = (settings or ModelSettings()).merged(choice)
        sent = await fitted([*conversation, *await seen(added, model, ctx)], own, specs, how)
        asked = sent.messages
        reply = await spoken(model, asked, specs, form, how, ctx)
        sent.note(own, reply.usage)
        text += reply.message.text
        if not reply.message.tool_calls or number == tools.rounds:
            message = reply.message
            if form is not None:
                output, message = await fitting(model, asked, reply, form, settings, ctx)
            added.append(message)
            break
        added.append(reply.message)
        results = await execute(reply.message.tool_calls, tools.table, ctx)
        added.append(Message.tool(*results))
        if tools.relay:
            told = Message.assistant("\n".join(result.text for result in results))
            if form is not None:
                output, told = await fitting(model, asked, Reply(told, Usage()), form, settings, ctx)
            else:
                text += _pause_in(text, ctx)
                ctx.emit(TextDelta(text=told.text, chunks=0))
            added.append(told)
            text += told.text
            break
        if form is None:
            text += _pause_in(text, ctx)
    return added, text if form is None else added[-1].text, output


def _pause_in(text: str, ctx: RunContext) -> str:
    """A paragraph's end between what the model said before its tools ran and what it says after."""
    if not text or text.endswith("\n"):
        return ""
    ctx.emit(TextDelta(text="\n\n", chunks=0))
    return "\n\n"


def say_missing(missing: Sequence[Missing], ctx: RunContext, *, before: str = "") -> str:
    """Tells the person what this turn had to do without; the text said, empty where nothing was missing."""
    if not missing:
        return ""
    parts = "; ".join(f"{item.node}: {item.reason}" for item in missing)
    text = f"{before}(This answer was made without a part of my means. {parts})\n\n"
    ctx.emit(TextDelta(text=text, chunks=0))
    return text
