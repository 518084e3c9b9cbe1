"""`llm`: asks a chat model about the conversation, runs the tools it calls, attributes the answer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from stretto.context import RunContext
from stretto.documents import Hit
from stretto.errors import BadResponse, ModelError
from stretto.events import Cited, ReasoningDelta, Retracted, TextDelta
from stretto.knowledge.cite import attribute
from stretto.messages import Message, Refusal, ToolCall, ToolSpec
from stretto.models.output import Shape, output_schema, parse_output
from stretto.models.protocol import (
    ChatModel,
    Embedder,
    OutputSchema,
    ReasoningPiece,
    Reply,
    RetractPiece,
    TextPiece,
)
from stretto.nodes.node import NodeFunction, State, Update, declares, question_of
from stretto.nodes.route import Choice
from stretto.nodes.shown import looks_text, numbered, seen, shown
from stretto.prompts import Prompt
from stretto.results import Citation, Missing
from stretto.settings import ModelSettings
from stretto.tools import Tool
from stretto.tools.execute import execute

Values = Callable[[State], Mapping[str, str]]


def llm(
    model: ChatModel,
    *,
    prompt: Prompt | str = "",
    ask: Prompt | None = None,
    tools: Sequence[Tool] = (),
    schema: Shape | None = None,
    settings: ModelSettings | None = None,
    cite: Embedder | bool = False,
    passages: int = 3,
    history: int = 4,
    max_rounds: int = 6,
    offer: Choice | None = None,
    relay: bool = False,
    values: Values | None = None,
) -> NodeFunction:
    """A node that answers.

    Args:
        model: Who answers.
        prompt: The instructions. A Prompt may use `{{question}}`, `{{passages}}`, `{{looks}}` and `values`.
        ask: How the last user message is put to the model; the conversation keeps what the person wrote.
        tools: What the model may call.
        schema: The type the answer has to fit; `output` is then an object of it.
        settings: How the model is asked.
        cite: Attribute the answer to the hits: True by words alone, an embedder by meaning too.
        passages: How many hits the model is shown.
        history: How many turns the model is shown, this one included.
        max_rounds: How often the model may call tools before it has to answer.
        offer: Names the one tool that the model has to call first, as `nearest(...)` does: what small models
            choose badly is chosen for them. None, or no name: the model is offered all and decides.
        relay: What the tools return is the answer, word for word: no second call, nothing garbled.
        values: More values for the prompts, from the state.
    """
    play = _Toolset({tool.name: tool for tool in tools}, max_rounds, relay)
    wanted = output_schema(schema) if schema is not None else None

    @declares(
        reads=("messages", "question", "hits", "looks", "missing"),
        writes=("messages", "output", "citations"),
        effects="external" if tools else "none",
    )
    async def answer(state: State, ctx: RunContext) -> Update:
        hits: Sequence[Hit] = (state.get("hits") or ())[:passages]
        known = {"question": question_of(state), "passages": numbered(hits), "looks": looks_text(state)}
        known.update(values(state) if values else {})
        conversation = await shown(state, model, prompt, ask, known, history, ctx)
        text = say_missing(state.get("missing") or (), ctx) if wanted is None else ""
        down = len(ctx.run.missing)
        offered = await offer(state, ctx) if offer else None
        added, said = await _talk(model, conversation, play.only(offered), wanted, settings, ctx)
        text += said
        if wanted is None:
            text += say_missing(ctx.run.missing[down:], ctx, before="\n\n")
        citations = await _cited(text, known["question"], hits, cite, ctx) if cite and hits else []
        added[-1] = msgspec.structs.replace(added[-1], id=f"{ctx.run_id}:{ctx.node}")
        output = text if schema is None else parse_output(schema, added[-1].text)
        return {"messages": added, "output": output, "citations": citations}

    return answer


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


async def _talk(
    model: ChatModel,
    conversation: Sequence[Message],
    tools: _Toolset,
    schema: OutputSchema | None,
    settings: ModelSettings | None,
    ctx: RunContext,
) -> tuple[list[Message], str]:
    """The messages up to the answer, with the rounds of tools before it, and the text that was shown."""
    added: list[Message] = []
    text = ""
    for number in range(tools.rounds + 1):
        asked = [*conversation, *await seen(added, model, ctx)]
        specs, choice = tools.at(number)
        reply = await _stream(model, asked, specs, schema, (settings or ModelSettings()).merged(choice), ctx)
        added.append(reply.message)
        text += reply.message.text
        if not reply.message.tool_calls or number == tools.rounds:
            break
        results = await execute(reply.message.tool_calls, tools.table, ctx)
        added.append(Message.tool(*results))
        text += _pause_in(text, ctx)
        if tools.relay:
            told = "\n".join(result.text for result in results)
            ctx.emit(TextDelta(text=told, chunks=0))
            return [*added, Message.assistant(told)], text + told
    return added, text


async def _cited(
    text: str, question: str, hits: Sequence[Hit], cite: Embedder | bool, ctx: RunContext
) -> list[Citation]:
    """The sources of the answer, each told as it is found."""
    embedder = None if isinstance(cite, bool) else cite
    citations = await attribute(text, hits, embedder=embedder, question=question)
    for citation in citations:
        ctx.run.citations.append(citation)
        ctx.emit(Cited(citation=citation))
    return citations


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


def _says_otherwise(message: Message) -> bool:
    """Whether a message without text calls a tool or declines."""
    return any(isinstance(part, ToolCall | Refusal) for part in message.parts)


async def _stream(
    model: ChatModel,
    messages: Sequence[Message],
    tools: Sequence[Any],
    schema: OutputSchema | None,
    settings: ModelSettings | None,
    ctx: RunContext,
) -> Reply:
    """One model call, its text shown as it comes; what was shown is taken back when the call fails."""
    said, reply = 0, None
    try:
        async for piece in model.stream(messages, tools=tools, schema=schema, settings=settings):
            if isinstance(piece, TextPiece):
                said += len(piece.text)
                ctx.emit(TextDelta(text=piece.text, chunks=piece.chunks))
            elif isinstance(piece, RetractPiece):
                said -= piece.length
                ctx.emit(Retracted(length=piece.length))
            elif isinstance(piece, Reply):
                reply = piece  # the stream is heard out: a generator left behind costs the loop a task
            elif isinstance(piece, ReasoningPiece):
                ctx.emit(ReasoningDelta(text=piece.text))
        if reply is None:
            raise ModelError(f"{model.name} ended its answer without a reply")
        ctx.spend(reply.usage, model=reply.model or model.name)
        if not reply.message.text.strip() and not _says_otherwise(reply.message):
            raise BadResponse(f"{model.name} answered nothing; it ended by `{reply.finish}`")
        return reply
    except ModelError:
        if said:
            ctx.emit(Retracted(length=said))
        raise
