"""What a model is shown of a conversation: instructions, the last turns, passages, and what pictures show."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count

import msgspec

from stretto.budgets import expected_input
from stretto.context import RunContext
from stretto.documents import Hit
from stretto.media.resolve import resolve
from stretto.media.tokens import media_tokens
from stretto.messages import Image, Message, Part, Text, ToolResult
from stretto.models.protocol import ChatModel
from stretto.nodes.node import State, steady_turns
from stretto.prompts import Prompt
from stretto.threads.history import answered, behind


def numbered(hits: Sequence[Hit]) -> str:
    """Hits as the model reads them: `[1] Title, heading` and the passage."""
    blocks: list[str] = []
    for number, hit in enumerate(hits, 1):
        place = " > ".join(dict.fromkeys((hit.document.title or hit.document.id, *hit.chunk.headings)))
        blocks.append(f"[{number}] {place}\n{_wide_text(hit).strip()}")
    return "\n\n".join(blocks)


def _wide_text(hit: Hit) -> str:
    """The passage with what stands around it; a table's header once."""
    parts: list[str] = []
    for chunk in hit.around or (hit.chunk,):
        head = int(chunk.metadata.get("repeated", 0))
        parts.append(chunk.text[head:] if parts and head else chunk.text)
    return "\n\n".join(parts)


def looks_text(state: State) -> str:
    """What this turn's pictures show, in words."""
    return "\n\n".join(look.text for look in state.get("looks") or ())


def fill(prompt: Prompt, values: Mapping[str, str]) -> str:
    """The prompt with those of the values that it has a place for."""
    return prompt.render(**{name: values[name] for name in prompt.placeholders if name in values})


async def shown(
    state: State,
    model: ChatModel,
    prompt: Prompt | str,
    ask: Prompt | None,
    values: Mapping[str, str],
    history: int,
    ctx: RunContext,
) -> list[Message]:
    """What the model is shown: instructions, a summary, the last turns, the last question as `ask` puts it.

    It is cut and put right for a call by `fitted`.
    """
    room = model.capabilities.context  # in characters: a quarter of its tokens
    said: Sequence[Message] = state["messages"]
    summary: Message | None = state.get("summary")
    last = steady_turns(behind(said, summary), history, room=room)
    rules = [message for message in said[: len(said) - len(last)] if message.role == "system"]
    messages = answered(last)
    if ask is not None:
        place = max(index for index, message in enumerate(messages) if message.role == "user")
        media = messages[place].media if model.capabilities.vision else ()
        messages[place] = Message.user(fill(ask, values), *media)
    messages = await seen(newest_pictures(messages, model), model, ctx)
    instructions = fill(prompt, values) if isinstance(prompt, Prompt) else prompt
    before = [Message.system(instructions)] if instructions else []
    return [*before, *rules, *([summary] if summary else ()), *messages]


async def seen(messages: list[Message], model: ChatModel, ctx: RunContext) -> list[Message]:
    """Pictures, those of tool results too, inline for a model that sees, in words for one that does not."""
    if not any(isinstance(part, Image) for message in messages for part in _all_parts(message)):
        return messages
    if model.capabilities.vision:
        rules = model.capabilities.media
        return await resolve(messages, ctx.media, rules=rules) if ctx.media is not None else messages
    return [_worded(message) for message in messages]


def newest_pictures(messages: list[Message], model: ChatModel) -> list[Message]:
    """The messages with the newest pictures that fit into the model's context, and older ones in words.

    The pictures of the last message that shows any always stay. One that came before is shown where it came
    first and there, and named between them. What gives way, gives way an eighth of the context at a time: a
    prompt whose beginning changed with each turn would be read anew each time.
    """
    pictures = [(at, part) for at, message in enumerate(messages) for part in _pictures(message)]
    if not model.capabilities.vision or len(pictures) < 2:
        return messages
    last, context = pictures[-1][0], model.capabilities.context
    costs: dict[int, int] = {}
    came: set[str] = set()
    for number, (at, part) in enumerate(pictures):
        if at == last or part.source not in came:
            costs[number] = media_tokens(part, model.capabilities.media)
        came.add(part.source)
    words = expected_input([_worded(message) for message in messages])
    over = words + sum(costs.values()) - context * 3 // 4
    step = max(context // 8, 1)
    over = -(-over // step) * step
    for number, cost in list(costs.items()):
        if over <= 0 or pictures[number][0] == last:
            break
        del costs[number]
        over -= cost
    numbers = count()
    return [_worded(message, lambda: next(numbers) in costs) for message in messages]


def _pictures(message: Message) -> Iterator[Image]:
    return (part for part in _all_parts(message) if isinstance(part, Image))


def _all_parts(message: Message) -> Iterator[Part]:
    for part in message.parts:
        yield part
        if isinstance(part, ToolResult):
            yield from part.content


def _never() -> bool:
    return False


def _worded(message: Message, shows: Callable[[], bool] = _never) -> Message:
    """The message with its pictures in words, but for those that `shows` allows, asked in order."""
    if not any(_pictures(message)):
        return message
    parts = tuple(_in_words(part, shows) for part in message.parts)
    return msgspec.structs.replace(message, parts=parts)


def _in_words(part: Part, shows: Callable[[], bool]) -> Part:
    if isinstance(part, Image) and not shows():
        return Text(f"[picture {part.name or part.media_type}: {part.alt or 'not described'}]")
    if isinstance(part, ToolResult):
        return msgspec.structs.replace(part, content=tuple(_in_words(inner, shows) for inner in part.content))
    return part
