"""`vision`: says in words what this turn's pictures show, by a model that sees or by local reading."""

import asyncio

import msgspec

from stretto.context import RunContext
from stretto.documents import Look
from stretto.errors import MediaError, StrettoError
from stretto.events import ReasoningDelta
from stretto.media.resolve import resolve
from stretto.messages import Image, Message, Part
from stretto.models.protocol import ChatModel
from stretto.nodes.budgeted import affordable
from stretto.nodes.node import NodeFunction, State, Update, declares, pictures_of, question_of
from stretto.nodes.shown import fill
from stretto.nodes.voice import replied
from stretto.prompts import Prompt
from stretto.settings import ModelSettings

DESCRIBE = (
    "Describe what the picture shows for someone who cannot see it: its kind, all text and numbers "
    "exactly as written, and what matters for the question. Do not answer the question."
)
SURE = 0.5
"""The least probability at which a label of the local classifier is told."""


def vision(model: ChatModel | None = None, *, prompt: Prompt | str = DESCRIBE, most: int = 4) -> NodeFunction:
    """A node that writes `looks`, one for each picture of the last user message, and its `alt` text.

    Args:
        model: A model that sees. None: text (OCR) and labels are read locally, and the look says so.
        prompt: What the model is asked for each picture.
        most: How many pictures of a message are looked at.
    """

    @declares(reads=("messages", "question"), writes=("looks", "messages"))
    async def look(state: State, ctx: RunContext) -> Update:
        pictures: list[Image] = pictures_of(state)[:most]
        if not pictures:
            return {"looks": []}
        looks = [await _look(picture, model, prompt, question_of(state), ctx) for picture in pictures]
        for seen in looks:
            ctx.emit(ReasoningDelta(text=seen.text + "\n"))
        return {
            "looks": looks,
            "messages": [_described(state, {seen.reference: seen.text for seen in looks})],
        }

    return look


async def _look(
    picture: Image, model: ChatModel | None, prompt: Prompt | str, question: str, ctx: RunContext
) -> Look:
    if model is None:
        return await read_locally(picture, ctx)
    if ctx.media is None:
        raise MediaError("this run has no media store, so the picture cannot be read")
    instructions = fill(prompt, {"question": question}) if isinstance(prompt, Prompt) else prompt
    shown = Message.user(f"{instructions}\nThe question: {question}", picture)
    asked = await resolve([shown], ctx.media, rules=model.capabilities.media)
    reply = await replied(affordable(model, ctx), asked, ctx, settings=ModelSettings(max_tokens=600))
    return Look(
        reference=picture.source, text=f"{_name(picture)} shows: {reply.message.text}", how=model.name
    )


async def read_locally(picture: Image, ctx: RunContext) -> Look:
    """Text and labels of a picture, read without a model that sees."""
    if ctx.media is None:
        raise MediaError("this run has no media store, so the picture cannot be read")
    data = await ctx.media.read(picture.source)
    text, labels = await asyncio.to_thread(_read, data)
    said = [
        f"Text read in {_name(picture)}:\n{text}" if text else f"No text can be read in {_name(picture)}."
    ]
    if labels:
        said.append("It looks like: " + ", ".join(f"{name} ({share:.0%})" for name, share in labels) + ".")
    lines = tuple(line.strip() for line in text.splitlines() if line.strip())
    how = "ocr+labels" if labels else "ocr"
    return Look(reference=picture.source, text="\n".join(said), how=how, lines=lines)


def _read(data: bytes) -> tuple[str, list[tuple[str, float]]]:
    # Late: a picture is the first that needs Pillow and onnxruntime.
    from stretto.media.pictures import open_picture  # noqa: PLC0415
    from stretto.models.local.columns import columns  # noqa: PLC0415
    from stretto.models.local.labels import labels  # noqa: PLC0415
    from stretto.models.local.ocr import read_picture  # noqa: PLC0415

    image = open_picture(data)
    read = read_picture(image)
    text = read.text.strip()
    if pairs := columns(read.lines):
        text += "\nBy column: " + "; ".join(f"{label}: {number}" for label, number in pairs)
    try:
        found = [(name, share) for name, share in labels(image, top=3) if share >= SURE]
    except StrettoError:  # the classifier is optional: text alone is a look too
        found = []
    return text, found


def _described(state: State, texts: dict[str, str]) -> Message:
    """The last user message with what its pictures show as their `alt`, for the turns after this one."""
    message = next(message for message in reversed(state["messages"]) if message.role == "user")

    def describe(part: Part) -> Part:
        if isinstance(part, Image) and part.source in texts:
            return msgspec.structs.replace(part, alt=texts[part.source])
        return part

    return msgspec.structs.replace(message, parts=tuple(describe(part) for part in message.parts))


def _name(picture: Image) -> str:
    return f"the picture `{picture.name}`" if picture.name else "the picture"
