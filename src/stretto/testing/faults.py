"""What can go wrong at an endpoint of Chat Completions: `Fault`, and each ending of the docs as a named one.

`ROWS` has a fault for each row of `docs/endings.md`. Opens no socket.
"""

import email.utils
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from stretto._internal.plain import Plain
from stretto.errors import ConfigError
from stretto.messages import ToolCall
from stretto.testing.completions import event_of

FaultKind = Literal[
    "status", "html", "whole", "choiceless", "silent", "hangup",
    "cut", "abort", "reset", "malformed", "shapeless", "misshaped", "error", "stall", "pings", "empty",
    "sound", "split", "slow", "refused", "unknown_host", "plain",
]  # fmt: skip
"""Instead of an answer. status: an HTTP status. html: a web page with 200. whole: a sound answer as one JSON
object. choiceless: one JSON object without `choices`. silent: nothing comes, not even the head. hangup: the
connection is closed before the head.

In the answer, behind `after` pieces of content. cut: a clean end without `finish_reason`. abort: the socket
is closed. reset: it is reset. malformed: a chunk that is not JSON. shapeless: a chunk without `choices`.
misshaped: a chunk whose `choices` are no list. error: an error object as a chunk. stall: nothing more comes,
until the client leaves. pings: keepalive comments for ever. empty: chunks without content for ever.

Whole, but. sound: nothing goes wrong but what `answer` says. split: every character of more than one byte
comes in two socket writes. slow: the first token takes `times` as long.

At the address, see `FaultyServer.url`. refused: nobody listens. unknown_host: no such host name. plain:
https, answered in plain bytes.
"""

BEFORE: frozenset[str] = frozenset(("status", "html", "choiceless", "silent", "hangup"))
"""Kinds that say nothing of an answer: they use up no turn of a script."""

ADDRESS: frozenset[str] = frozenset(("refused", "unknown_host", "plain"))
"""Kinds that lie in the address."""


class Fault(Plain, frozen=True):
    """One answer that goes wrong; a turn of `ChatServer`, or what a `FaultyServer` is told to do."""

    kind: FaultKind
    after: int = 0
    """Pieces of content (text, reasoning, tool call) that are sent before it happens."""
    status: int = 503
    message: str = "out of order"
    headers: dict[str, str] = {}
    """Of a `status`."""
    answer: Any = None
    """The whole answer that it breaks: text, a `ToolCall` or a `Message`; None is what the script says."""
    every: float = 0.02
    """Seconds between two `pings` or `empty` chunks."""
    times: float = 10.0
    """How much slower `slow` is."""


Faults = Fault | str | None | Sequence["Fault | str | None"] | Callable[[int], "Fault | str | None"]
"""What goes wrong: the same for each request, or one a request and none behind the last, or a function of the
request's number, which counts calls for a completion from 0. A text is a row of `ROWS`; None is no fault."""

SCRIPTS = "Wide, grün and 🌊 is the sea. 海は広い。 e\u0301 is one letter of two."
CALL = '{"city": "Paris", "days": 3}'


def _limited(value: str | None) -> Fault:
    headers = {} if value is None else {"Retry-After": value}
    return Fault("status", status=429, message="slow down", headers=headers)


ROWS: dict[str, Fault] = {
    "refused": Fault("refused"),
    "dns": Fault("unknown_host"),
    "tls": Fault("plain"),
    "stall_at_headers": Fault("silent"),
    "hangup": Fault("hangup"),
    "stall_mid_stream": Fault("stall", after=3),
    "keepalive_only": Fault("pings"),
    "keepalive_mid_stream": Fault("pings", after=3),
    "empty_deltas": Fault("empty", after=3),
    "eof": Fault("cut", after=3),
    "abrupt_close": Fault("abort", after=3),
    "reset": Fault("reset", after=3),
    "malformed_chunk": Fault("malformed", after=3),
    "wrong_shape": Fault("misshaped", after=3),
    "chunk_without_choices": Fault("shapeless", after=3),
    "error_event": Fault("error", after=3, status=503, message="overloaded"),
    "html": Fault("html"),
    "no_choices": Fault("choiceless"),
    "whole": Fault("whole"),
    "utf8_split": Fault("split", answer=SCRIPTS),
    "tool_call_cut": Fault("cut", after=3, answer=ToolCall("", "forecast", CALL)),
    "tool_call_broken_off": Fault("abort", after=3, answer=ToolCall("", "forecast", CALL)),
    "tool_call_half": Fault("sound", answer=ToolCall("", "forecast", '{"city": "Paris", "da')),
    "tool_call_invalid": Fault("sound", answer=ToolCall("", "forecast", "Paris, three days")),
    "429": _limited(None),
    "429_after_0": _limited("0"),
    "429_after_2": _limited("2"),
    "429_after_30": _limited("30"),
    "429_after_90": _limited("90"),
    "429_after_date": Fault("status", status=429, message="slow down", headers={"Retry-After": "date:30"}),
    "429_after_rubbish": _limited("in a while"),
    "down": Fault("status", status=503),
    "slow": Fault("slow"),
}
"""The endings by name. `Retry-After: date:30` is sent as the HTTP date 30 seconds ahead."""


def fault_of(faults: Faults, number: int) -> Fault | None:
    """What `faults` says about the request of this number.

    Raises:
        ConfigError: there is no row of that name.
    """
    found: Any = faults
    if callable(found):
        found = found(number)
    elif not isinstance(found, str | Fault) and found is not None:
        found = found[number] if number < len(found) else None
    if isinstance(found, str):
        if found not in ROWS:
            raise ConfigError(f"no ending is called `{found}`; there are {', '.join(ROWS)}")
        return ROWS[found]
    return found


def headers_of(fault: Fault) -> dict[str, str]:
    """The headers it sends, a date as the HTTP date that many seconds ahead."""
    found = dict(fault.headers)
    for name, value in found.items():
        if value.startswith("date:"):
            found[name] = email.utils.formatdate(time.time() + float(value[5:]), usegmt=True)
    return found


def broken(events: Sequence[bytes], fault: Fault) -> list[bytes]:
    """The events up to the fault, with what it says in their place. The first is the role's, no content."""
    kept = list(events[: fault.after + 1])
    if fault.kind == "malformed":
        kept.append(b'data: {"choices": [{"delta": {"content": "cut of\n\n')
    elif fault.kind == "shapeless":
        kept.append(event_of({"id": "chatcmpl-1", "object": "chat.completion.chunk"}))
    elif fault.kind == "misshaped":
        kept.append(event_of({"id": "chatcmpl-1", "choices": {"delta": {"content": "no list"}}}))
    elif fault.kind == "error":
        kept.append(event_of({"error": {"message": fault.message, "code": fault.status}}))
    return kept


def halves(events: Sequence[bytes]) -> Iterator[bytes]:
    """The bytes of the events, each part but the last ending inside a character of several bytes."""
    rest = b"".join(events)
    while rest:
        lead = next((at for at, byte in enumerate(rest) if byte >= 0xC0), len(rest) - 1)
        yield rest[: lead + 1]
        rest = rest[lead + 1 :]


def log_normal(
    median: float, *, sigma: float = 0.5, seed: int = 1, times: float = 1.0
) -> Callable[[], float]:
    """A source of seeded log-normal delays, for `first_token=`.

    Args:
        median: seconds that half of the delays stay under.
        sigma: the standard deviation of their logarithm.
        seed: equal seeds give equal delays.
        times: what each is multiplied with, for an endpoint that is so much slower.
    """
    source = random.Random(seed)
    return lambda: times * math.exp(source.gauss(math.log(median), sigma))
