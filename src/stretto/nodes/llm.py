"""`llm`: asks a chat model about the conversation, runs the tools it calls, attributes the answer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from stretto.context import RunContext
from stretto.documents import Hit
from stretto.errors import ModelError
from stretto.events import Cited, ReasoningDelta, Retracted, TextDelta
from stretto.knowledge.cite import attribute
from stretto.media.resolve import resolve
from stretto.messages import Image, Message
from stretto.models.output import Shape, output_schema, parse_output
from stretto.models.protocol import ChatModel, Embedder, OutputSchema, ReasoningPiece, Reply, TextPiece
from stretto.nodes.node import NodeFunction, State, Update, declares, last_turns, question_of
from stretto.prompts import Prompt
from stretto.results import Missing
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
        values: More values for the prompts, from the state.
    """
    table = {tool.name: tool for tool in tools}
    specs = tuple(tool.spec for tool in tools)
    wanted = output_schema(schema) if schema is not None else None

    @declares(
        reads=("messages", "question", "hits", "looks", "missing"),
        writes=("messages", "output", "citations"),
        effects="external" if tools else "none",
    )
    async def answer(state: State, ctx: RunContext) -> Update:
        found: Sequence[Hit] = state.get("hits") or ()
        hits = found[:passages]
        known = {"question": question_of(state), "passages": numbered(hits), "looks": looks_text(state)}
        known.update(values(state) if values else {})
        shown = await _shown(state, model, prompt, ask, known, history, ctx)
        added: list[Message] = []
        text = say_missing(state.get("missing") or (), ctx) if wanted is None else ""
        down = len(ctx.run.missing)
        for left in range(max_rounds, -1, -1):
            reply = await _stream(model, [*shown, *added], specs if left else (), wanted, settings, ctx)
            added.append(reply.message)
            if not reply.message.tool_calls:
                break
            added.append(Message.tool(*await execute(reply.message.tool_calls, table, ctx)))
        text += added[-1].text
        if wanted is None and ctx.run.missing[down:]:
            text += say_missing(ctx.run.missing[down:], ctx, before="\n\n")
        output = parse_output(schema, text) if schema is not None else text
        citations = await attribute(text, hits, embedder=_embedder(cite)) if cite and hits else []
        for citation in citations:
            ctx.run.citations.append(citation)
            ctx.emit(Cited(citation=citation))
        added[-1] = msgspec.structs.replace(added[-1], id=f"{ctx.run_id}:{ctx.node}")
        return {"messages": added, "output": output, "citations": citations}

    return answer


def _embedder(cite: Embedder | bool) -> Embedder | None:
    return None if isinstance(cite, bool) else cite


def numbered(hits: Sequence[Hit]) -> str:
    """Hits as the model reads them: `[1] Title, heading` and the passage."""
    blocks: list[str] = []
    for number, hit in enumerate(hits, 1):
        place = " > ".join(dict.fromkeys((hit.document.title or hit.document.id, *hit.chunk.headings)))
        blocks.append(f"[{number}] {place}\n{hit.chunk.text.strip()}")
    return "\n\n".join(blocks)


def looks_text(state: State) -> str:
    """What this turn's pictures show, in words."""
    return "\n\n".join(look.text for look in state.get("looks") or ())


def say_missing(missing: Sequence[Missing], ctx: RunContext, *, before: str = "") -> str:
    """Tells the person what this turn had to do without; the text said, empty where nothing was missing."""
    if not missing:
        return ""
    parts = "; ".join(f"{item.node}: {item.reason}" for item in missing)
    text = f"{before}(This answer was made without a part of my means. {parts})\n\n"
    ctx.emit(TextDelta(text=text, chunks=0))
    return text


def fill(prompt: Prompt, values: Mapping[str, str]) -> str:
    """The prompt with those of the values that it has a place for."""
    return prompt.render(**{name: values[name] for name in prompt.placeholders if name in values})


async def _shown(
    state: State,
    model: ChatModel,
    prompt: Prompt | str,
    ask: Prompt | None,
    values: Mapping[str, str],
    history: int,
    ctx: RunContext,
) -> list[Message]:
    """What the model is shown: instructions, the last turns, and the last question as `ask` puts it."""
    messages = last_turns(state["messages"], history)
    if ask is not None:
        last = max(index for index, message in enumerate(messages) if message.role == "user")
        media = messages[last].media if model.capabilities.vision else ()
        messages[last] = Message.user(fill(ask, values), *media)
    if any(isinstance(part, Image) for message in messages for part in message.parts):
        messages = await _see(messages, model, ctx)
    instructions = fill(prompt, values) if isinstance(prompt, Prompt) else prompt
    return [Message.system(instructions), *messages] if instructions else messages


async def _see(messages: list[Message], model: ChatModel, ctx: RunContext) -> list[Message]:
    """Pictures inline for a model that sees, in words for one that does not."""
    if model.capabilities.vision:
        return await resolve(messages, ctx.media) if ctx.media is not None else messages
    return [
        msgspec.structs.replace(
            message,
            parts=tuple(
                f"[picture {part.name or part.media_type}: {part.alt or 'not described'}]"
                if isinstance(part, Image)
                else part
                for part in message.parts
            ),
        )
        for message in messages
    ]


async def _stream(
    model: ChatModel,
    messages: Sequence[Message],
    tools: Sequence[Any],
    schema: OutputSchema | None,
    settings: ModelSettings | None,
    ctx: RunContext,
) -> Reply:
    """One model call, its text shown as it comes; what was shown is taken back when the call fails."""
    shown = 0
    try:
        async for piece in model.stream(messages, tools=tools, schema=schema, settings=settings):
            if isinstance(piece, TextPiece):
                shown += len(piece.text)
                ctx.emit(TextDelta(text=piece.text, chunks=piece.chunks))
            elif isinstance(piece, Reply):
                ctx.spend(piece.usage, model=piece.model or model.name)
                return piece
            elif isinstance(piece, ReasoningPiece):
                ctx.emit(ReasoningDelta(text=piece.text))
    except ModelError:
        if shown:
            ctx.emit(Retracted(length=shown))
        raise
    raise ModelError(f"{model.name} ended its answer without a reply")
