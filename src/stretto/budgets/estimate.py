"""How many tokens a request has, before it is sent. Loads no vocabulary.

Budgets need an estimate that is seldom too low: a token has 3 bytes or more in English (about 4.3), Russian
and Chinese with the vocabularies of today, so bytes are divided by 3. A pool's rates begin with the same and
learn from what is reported.
"""

from collections.abc import Sequence

import msgspec

from stretto.messages import Message, Part, Reasoning, Refusal, Text, ToolCall, ToolResult, ToolSpec

_BYTES = 3
_A_MESSAGE = 8
_A_MEDIA = 1100
"""About what the largest picture costs by tiles (`media/tokens.py`)."""


def expected_input(messages: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> int:
    """Tokens of a request, rather too many than too few."""
    size = media = 0
    for message in messages:
        for part in message.parts:
            more_size, more_media = _of(part)
            size += more_size
            media += more_media
    for tool in tools:
        size += len(tool.name) + len(tool.description.encode()) + len(msgspec.json.encode(tool.parameters))
    return expected_output(size) + _A_MESSAGE * (len(messages) + len(tools)) + _A_MEDIA * media


def expected_output(size: int) -> int:
    """Tokens of a text of `size` bytes."""
    return -(-size // _BYTES)


def _of(part: Part) -> tuple[int, int]:
    """Bytes of text, and how many media."""
    if isinstance(part, Text | Reasoning | Refusal):
        return len(part.text.encode()), 0
    if isinstance(part, ToolCall):
        return len(part.name) + len(part.arguments.encode()), 0
    if isinstance(part, ToolResult):
        inner = [_of(each) for each in part.content]
        return sum(size for size, _ in inner), sum(media for _, media in inner)
    return 0, 1
