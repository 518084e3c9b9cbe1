"""How many tokens a conversation has for a model. Knows no wire and no node.

By its own tokenizer where it has one here, else by `bpe-openai` where that is installed, else by bytes;
media by formula, never by their bytes. A text is counted once. What endpoints report corrects what is
counted (`learn`).
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import import_module, util
from math import ceil
from threading import Lock
from typing import Any, Protocol, cast, runtime_checkable
from warnings import catch_warnings, simplefilter

import msgspec

from stretto._internal.loggers import logger
from stretto.budgets.estimate import expected_output
from stretto.errors import StrettoError
from stretto.media.tokens import UNKNOWN, media_tokens
from stretto.messages import Audio, File, Image, Message, Part, Text, ToolCall, ToolResult, ToolSpec
from stretto.models.protocol import ChatModel
from stretto.settings import MediaRules

A_MESSAGE = 4
"""Tokens around a message: its role, its beginning and its end."""
LEAST, MOST = 0.5, 3.0
"""Between these is what is learnt: the tokens reported for each one counted."""

_IN_THREAD = 20_000
"""Characters from which new texts are counted in a thread: about 3 ms."""
_AT_ONCE = 500_000
"""Characters of a text that are counted at one go; the tokenizer takes no more than a million."""
_KNOWN = 16_384
"""Texts whose counts are kept, and models of which something is learnt."""
_WHOLE = ("gpt-4-", "gpt-4", "gpt-3.5", "text-embedding")
"""Models of the vocabulary cl100k; o200k is that of all later ones, and close to what others have."""

_log = logger("stretto.models")
_counts: dict[tuple[str, int, int], int] = {}
_ratios: dict[str, float] = {}
_loading = Lock()


@runtime_checkable
class CountsTokens(Protocol):
    """A model that has its tokenizer at hand."""

    async def count_tokens(self, text: str) -> int:
        """The tokens of `text`."""
        ...


Counted = ChatModel | str | None
"""For whom is counted: a model, a model's name, or nobody in particular."""


async def count(messages: Sequence[Message], tools: Sequence[ToolSpec] = (), model: Counted = None) -> int:
    """The tokens of a request.

    Args:
        messages: The conversation.
        tools: What the model is offered.
        model: Who is asked.
    """
    each = await weights(messages, model)
    return sum(each) + (await _tool_tokens(tools, model) if tools else 0)


async def weights(messages: Sequence[Message], model: Counted = None) -> list[int]:
    """The tokens of each message."""
    texts = [list(_texts(message.parts)) for message in messages]
    known = await _counted([text for of_one in texts for text in of_one], model)
    ratio, rules = _ratios.get(_name(model), 1.0), _rules(model)
    return [
        ceil(ratio * (A_MESSAGE + sum(known[text] for text in of_one) + _media(message.parts, rules)))
        for message, of_one in zip(messages, texts, strict=True)
    ]


def at_most(messages: Iterable[Message], tools: Iterable[ToolSpec] = (), model: Counted = None) -> int:
    """A number of tokens that a request does not exceed, without a tokenizer: a token has a byte or more."""
    size, rules = 0, _rules(model)
    for message in messages:
        size += 2 * A_MESSAGE + _most(message.parts, rules)
    size += sum(2 * A_MESSAGE + _bytes(_tool_text(tool)) for tool in tools)
    return ceil(size * max(1.0, _ratios.get(_name(model), 1.0)))


def learn(model: Counted, counted: int, reported: int) -> None:
    """Takes note that an endpoint reported so many tokens for a request that was counted.

    What is counted for this model from now on is nearer to what it reports. Reports of nothing are ignored.
    """
    if counted < 50 or reported <= 0:
        return
    name = _name(model)
    before = _ratios.pop(name, 1.0)
    seen = min(MOST, max(LEAST, before * reported / counted))
    _bound(_ratios)
    _ratios[name] = before + 0.5 * (seen - before)


# ---- texts


async def _counted(texts: Sequence[str], model: Counted) -> dict[str, int]:
    """The tokens of each text; new ones are counted, by the best tokenizer there is."""
    own = model if isinstance(model, CountsTokens) else None
    name = _name(model) if own else _vocabulary(_name(model))
    found: dict[str, int] = {}
    new: list[str] = []
    for text in texts:
        known = _counts.get((name, hash(text), len(text)))
        if known is None:
            new.append(text)
        else:
            found[text] = known
    if new:
        new = list(dict.fromkeys(new))
        counts = await _by_model(new, own) if own else None
        if counts is None:
            name = _vocabulary(_name(model))
            counts = await _by_vocabulary(new, name)
        for text, number in zip(new, counts, strict=True):
            found[text] = _counts[name, hash(text), len(text)] = number
        _bound(_counts)
    return found


async def _by_model(texts: Sequence[str], model: CountsTokens) -> list[int] | None:
    try:
        return [await model.count_tokens(text) for text in texts]
    except StrettoError as error:  # the call itself will fail and say why
        _log.debug("`%s` cannot count: %s", _name(cast(Any, model)), error)
        return None


async def _by_vocabulary(texts: Sequence[str], name: str) -> list[int]:
    if _installed():
        try:
            if _encoding.cache_info().currsize and sum(map(len, texts)) < _IN_THREAD:
                return _encoded(texts, name)
            return await asyncio.to_thread(_encoded, texts, name)
        except Exception as error:  # of a package that is there to be more exact: none of it stops a turn
            _log.warning("bpe-openai cannot count, so tokens are estimated: %s", error)
    return [expected_output(_bytes(text)) for text in texts]


def _encoded(texts: Sequence[str], name: str) -> list[int]:
    with _loading:
        encoding = _encoding(name)
    return [
        sum(len(encoding.encode_ordinary(text[at : at + _AT_ONCE])) for at in range(0, len(text), _AT_ONCE))
        for text in texts
    ]


@cache
def _installed() -> bool:
    return util.find_spec("bpe_openai") is not None


@cache
def _encoding(name: str) -> Any:
    """A vocabulary; the first costs half a second of CPU and 130 MB."""
    with catch_warnings():
        simplefilter("ignore", DeprecationWarning)  # of how it reads its own files
        return import_module("bpe_openai").get_encoding(name)


def _vocabulary(name: str) -> str:
    plain = name.rpartition(":")[2].rpartition("/")[2]
    old = plain.startswith(_WHOLE) and not plain.startswith(("gpt-4o", "gpt-4.1", "gpt-4.5"))
    return "cl100k_base" if old else "o200k_base"


def _name(model: Counted) -> str:
    return model if isinstance(model, str) else "" if model is None else model.name


def _texts(parts: Iterable[Part]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, ToolCall):
            yield part.name
            yield part.arguments
        elif isinstance(part, ToolResult):
            yield from _texts(part.content)
        elif not isinstance(part, Image | Audio | File):
            yield part.text


def _most(parts: Iterable[Part], rules: MediaRules) -> int:
    """Bytes of text, and tokens of media."""
    size = 0
    for part in parts:
        if isinstance(part, Text):
            size += _bytes(part.text)
        elif isinstance(part, ToolCall):
            size += _bytes(part.name) + _bytes(part.arguments)
        elif isinstance(part, ToolResult):
            size += _most(part.content, rules)
        else:
            size += media_tokens(part, rules) if isinstance(part, Image | Audio | File) else _bytes(part.text)
    return size


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _media(parts: Iterable[Part], rules: MediaRules) -> int:
    """Tokens of pictures, recordings and documents."""
    size = 0
    for part in parts:
        if isinstance(part, Image | Audio | File):
            size += media_tokens(part, rules)
        elif isinstance(part, ToolResult):
            size += _media(part.content, rules)
    return size


def _rules(model: Counted) -> MediaRules:
    return UNKNOWN if model is None or isinstance(model, str) else model.capabilities.media


async def _tool_tokens(tools: Sequence[ToolSpec], model: Counted) -> int:
    texts = [_tool_text(tool) for tool in tools]
    known = await _counted(texts, model)
    ratio = _ratios.get(_name(model), 1.0)
    return ceil(ratio * sum(A_MESSAGE + known[text] for text in texts))


def _tool_text(tool: ToolSpec) -> str:
    return f"{tool.name} {tool.description} {msgspec.json.encode(tool.parameters).decode()}"


def _bound(table: dict[Any, Any]) -> None:
    """Forgets the older half of a table that is full."""
    if len(table) >= _KNOWN:
        for key in list(table)[: _KNOWN // 2]:
            del table[key]
