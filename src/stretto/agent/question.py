"""What a person may ask, and in which thread: everything else is refused before a graph sees it.

Knows no graph and no store; pictures and documents are checked when they are taken in.
"""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, cast

import msgspec

from stretto._internal.plain import Plain
from stretto.errors import ConfigError
from stretto.messages import MEDIA, Message, Part, Text
from stretto.questions import Answer
from stretto.settings import Limits

MOST = 4_000_000
"""Characters of a question; more is a document."""
LONGEST_THREAD = 500
"""Characters of a thread's id, and of a user's."""
_FORMS = "give text, Image(...), Audio(...), File(...), a list of these, or a Message of role user"


class Asked(Plain, frozen=True):
    """What a turn is asked: a question, or answers to open questions; neither: go on where one was left."""

    message: Message | None = None
    answers: dict[str, Answer] | None = None

    def packed(self) -> bytes:
        """As JSON; what JSON cannot say in an answer is not kept, and the answers have to be given again."""
        try:
            return _encoder.encode(self)
        except (TypeError, ValueError, RecursionError):
            return b"{}"

    @classmethod
    def unpacked(cls, content: bytes) -> "Asked":
        """What `packed` gave."""
        return _decoder.decode(content)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Asked)


def as_asked(question: Any, answers: Mapping[str, Any] | None) -> Asked:
    """What a caller asks; raises ConfigError where it is both, neither, or no question."""
    if question is not None and answers is not None:
        raise ConfigError("run() takes a question or `answers`, not both")
    if question is None and answers is None:
        raise ConfigError("run() needs a question, or answers to a paused thread's questions")
    if answers is None:
        return Asked(as_question(question))
    named = {call_id: each if isinstance(each, Answer) else Answer(each) for call_id, each in answers.items()}
    return Asked(answers=named)


def as_question(question: Any) -> Message:
    """The question as a user's message.

    Raises:
        ConfigError: It is empty, too long, no text, or holds what a person cannot send.
    """
    message = question if isinstance(question, Message) else Message("user", _parts(question))
    if message.role != "user":
        raise ConfigError(f"a question is a message of role user, and this is one of role {message.role}")
    for part in message.parts:
        if not isinstance(part, (Text, *MEDIA)):
            raise ConfigError(f"a question cannot hold {_named(part)}; {_FORMS}")
        if isinstance(part, Text):
            _check(cast("Any", part.text), "the question")
    if len(message.text) > MOST:
        raise ConfigError(
            f"the question has {len(message.text):,} characters; at most {MOST:,}: attach it as a file, "
            "or add it to a knowledge base"
        )
    if not message.media and not message.text.strip():
        raise ConfigError("the question is empty; write what you want to know, or attach a file")
    return message if message.id else msgspec.structs.replace(message, id=uuid.uuid4().hex)


def check_run(thread_id: Any, limits: Any, tenant: Any, user: Any) -> None:
    """Raises ConfigError where no run can be in this thread (None: a new one), so limited, for this user."""
    if thread_id is not None:
        check_thread(thread_id)
    check_user(tenant, user)
    if not isinstance(limits, Limits):
        raise ConfigError(f"limits is a `{type(limits).__name__}`; give Limits(steps=..., seconds=...)")


def check_thread(thread_id: Any) -> None:
    """Raises ConfigError where `thread_id` cannot name a thread."""
    _check(thread_id, "the thread_id")
    if not 1 <= len(thread_id) <= LONGEST_THREAD:
        raise ConfigError(f"the thread_id has {len(thread_id)} characters; give 1 to {LONGEST_THREAD}")


def check_user(tenant: Any, user: Any) -> None:
    """Raises ConfigError where these cannot name a tenant and a user of theirs; empty is nobody."""
    for name, what in ((tenant, "tenant"), (user, "user")):
        _check(name, f"the {what}")
        if len(name) > LONGEST_THREAD:
            raise ConfigError(f"the {what} has {len(name)} characters; give at most {LONGEST_THREAD}")


def _parts(question: Any) -> tuple[Part, ...]:
    if isinstance(question, str):
        return (Text(question),)
    if isinstance(question, (Text, *MEDIA)):
        return (question,)
    if not isinstance(question, Iterable) or isinstance(question, bytes | bytearray | Mapping):
        raise ConfigError(f"{_named(question)} is no question; {_FORMS}")
    return tuple(Text(item) if isinstance(item, str) else item for item in cast("Iterable[Any]", question))


def _check(text: Any, what: str) -> None:
    if not isinstance(text, str):
        raise ConfigError(f"{what} is {_named(text)}; give a str")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{what} holds half a character (a lone surrogate, U+{ord(text[error.start]):04X}) at "
            f"{error.start}: decode the text as UTF-8 first"
        ) from None


def _named(value: Any) -> str:
    return f"`{type(value).__name__}`"
