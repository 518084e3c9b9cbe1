"""Every error Stretto raises, in one tree.

StrettoError
├── ConfigError            a file, setting or argument is wrong: `where` tells file, line and column
├── MissingExtra           an optional package is not installed: the message is the command to type
├── GraphError             a graph cannot be compiled: the message names the node and the fix
├── ModelError             a model could not answer; `partial` is the text received so far
│   ├── ModelNotFound      no such provider, model or local file
│   ├── ModelUnavailable   refused, unreachable, 5xx, died in mid-stream (worth trying again)
│   ├── RateLimited        429; `retry_after` seconds where the endpoint said so
│   ├── ModelTimeout       no answer in time; `deadline` says which: queue, first_token, idle, total
│   ├── BadResponse        the answer is not what the protocol promises
│   ├── BadRequest         the endpoint refuses the request itself: 400, 401, 403, 404, 422
│   ├── ContextOverflow    the request does not fit the model's context
│   └── OutputInvalid      the answer does not fit the requested schema
├── MediaError             a picture, document or recording cannot be taken in
│   ├── MediaNotFound      no such file, URL or reference
│   ├── UnsupportedMedia   a kind that is not accepted, or content disguised as another kind
│   ├── DamagedMedia       the content cannot be decoded
│   ├── MediaTooLarge      bytes, pixels, frames or pages over the limit
│   ├── MediaQuotaExceeded a tenant keeps as much as it may; `used` and `limit` are bytes
│   └── UnsafeAddress      a URL that leads to an address it must not reach
├── KnowledgeError         a knowledge base cannot do what was asked
│   ├── StoreBusy          another process owns the store
│   └── EmbedderMismatch   the store was built with another embedder
├── ToolError              a tool failed; its message is shown to the model
│   ├── ToolNotFound       the model named a tool that is not there
│   ├── InvalidArguments   the arguments do not fit the tool's schema
│   └── ToolTimeout        the tool did not end in time
├── ThreadError            a conversation cannot go on as asked
│   ├── ThreadBusy         another turn plays; this one was refused, and nothing of it is kept (HTTP 409)
│   ├── ThreadConflict     another turn took the thread further meanwhile; this one is not kept
│   ├── ThreadKeyRefused   these threads are encrypted with another key or none, or not at all
│   ├── ThreadOutdated     the graph was changed since: `nodes` are gone, or what `keys` hold does not fit
│   ├── AnswerRefused      an answer does not fit what was asked; the thread still waits
│   └── AnswerExpired      an answer came too late: the node that asked is told so
├── CounterError           limits and budgets cannot be counted: the file is broken, or held too long
├── LimitReached           steps, visits, or a budget of money, tokens, calls or time are used up
└── NodeTimeout            a node did not end in time

`Pause` is not an error: it ends a node's run so that a person can answer. It is a BaseException, so that
`except Exception` in a node or tool cannot swallow it.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from stretto.models.protocol import Headroom
    from stretto.questions import Terms


class StrettoError(Exception):
    """The base of all our errors. `str(error)` is one sentence for people that says what to do."""


class ConfigError(StrettoError):
    """A file, setting or argument is wrong. `where` is `file:line:column` where it is known."""

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where


class MissingExtra(StrettoError):
    """An optional package is not installed; `beside` are those that the extra does not bring."""

    def __init__(self, feature: str, extra: str, *, beside: str = "") -> None:
        command = f'pip install "stretto[{extra}]" {beside}'.rstrip()
        super().__init__(f"{feature} needs an optional package. Type: {command}")
        self.extra = extra


class GraphError(StrettoError):
    """A graph cannot be compiled or taken up."""


class ModelError(StrettoError):
    """A model could not answer."""

    def __init__(self, message: str, *, partial: str = "") -> None:
        super().__init__(message)
        self.partial = partial


class ModelNotFound(ModelError):
    """No such provider, model or local file."""


class ModelUnavailable(ModelError):
    """The endpoint refused, was unreachable, failed (5xx) or died in mid-stream."""


class RateLimited(ModelError):
    """The endpoint said 429. `retry_after` is in seconds, None where it did not say.

    `headroom` is what it said is left of its limits, None where it said nothing.
    """

    def __init__(
        self, message: str, *, retry_after: float | None = None, headroom: "Headroom | None" = None
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.headroom = headroom


Deadline = Literal["queue", "first_token", "idle", "total"]
"""queue: no place in time; first_token: no content yet; idle: no further content; total: not done in time."""


class ModelTimeout(ModelError):
    """No answer, or no further content, in time."""

    def __init__(self, message: str, *, partial: str = "", deadline: Deadline = "total") -> None:
        super().__init__(message, partial=partial)
        self.deadline: Deadline = deadline


class BadResponse(ModelError):
    """The answer is not what the protocol promises."""


class BadRequest(ModelError):
    """The endpoint refuses the request itself. `status` is the HTTP status."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status

    @property
    def misconfigured(self) -> bool:
        """Whether a key, a right or a name is wrong (401, 403, 404): no request to this endpoint will do."""
        return self.status in (401, 403, 404)


class ContextOverflow(ModelError):
    """The request does not fit the model's context."""


class OutputInvalid(ModelError):
    """The answer does not fit the requested schema; `partial` is the raw text."""


class MediaError(StrettoError):
    """A picture, document or recording cannot be taken in."""


class MediaNotFound(MediaError):
    """No such file, URL or reference."""


class UnsupportedMedia(MediaError):
    """A kind that is not accepted, or content disguised as another kind."""


class DamagedMedia(MediaError):
    """The content cannot be decoded."""


class MediaTooLarge(MediaError):
    """Bytes, pixels, frames or pages over the limit."""


class MediaQuotaExceeded(MediaError):
    """A tenant keeps as many bytes as it may. `used`, `limit` and `asked` are bytes."""

    def __init__(self, message: str, *, used: int, limit: int, asked: int) -> None:
        super().__init__(message)
        self.used, self.limit, self.asked = used, limit, asked


class UnsafeAddress(MediaError):
    """A URL that leads to an address it must not reach."""


class KnowledgeError(StrettoError):
    """A knowledge base cannot do what was asked."""


class StoreBusy(KnowledgeError):
    """Another process owns the store."""


class EmbedderMismatch(KnowledgeError):
    """The store was built with another embedder."""


class ToolError(StrettoError):
    """A tool failed. Raise it in a tool to tell the model what went wrong."""


class ToolNotFound(ToolError):
    """The model named a tool that is not there."""


class InvalidArguments(ToolError):
    """The arguments do not fit the tool's schema."""


class ToolTimeout(ToolError):
    """The tool did not end in time."""


class ThreadError(StrettoError):
    """A conversation cannot go on as asked."""


class ThreadBusy(ThreadError):
    """Another turn plays this thread, and the agent refuses a second one. As HTTP it is a 409."""

    status = 409


class ThreadConflict(ThreadError):
    """Another turn took the thread further meanwhile; what this one did since is not kept."""


class ThreadKeyRefused(ThreadError):
    """Threads are encrypted and the key is missing or another one, or are not and a key was given."""


class ThreadOutdated(ThreadError):
    """The graph was changed since the thread was left, and the thread cannot go on in it as it is.

    Attributes:
        thread_id: The thread.
        nodes: Those it waits at, or goes to next, that are gone.
        keys: State keys whose value does not fit the state of today.
    """

    def __init__(
        self, message: str, *, thread_id: str, nodes: tuple[str, ...] = (), keys: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.thread_id, self.nodes, self.keys = thread_id, nodes, keys


class AnswerRefused(ThreadError):
    """An answer does not fit what was asked; nothing ran, and the thread still waits."""


class AnswerExpired(ThreadError):
    """An answer came too late. Raised in the node or tool that asked."""


class CounterError(StrettoError):
    """Limits and budgets cannot be counted: the file is broken, or another process holds it too long."""


class LimitReached(StrettoError):
    """Steps, visits, or a budget of money, tokens, calls or time are used up.

    `limit` names which: `steps`, `visits`, `tokens` and `seconds` of `limits`, or scope and kind of a budget,
    such as `tenant.money`. `retry_after` is in seconds, where waiting helps.
    """

    def __init__(self, message: str, *, limit: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.limit = limit
        self.retry_after = retry_after


class NodeTimeout(StrettoError):
    """A node did not end within its `timeout`."""


class Pause(BaseException):
    """A node waits for answers: `questions` maps a call id to what is asked. Only `graph/` catches it.

    `terms` says, by call id, on what terms an answer is taken.
    """

    def __init__(self, questions: Mapping[str, Any], *, terms: "Mapping[str, Terms] | None" = None) -> None:
        super().__init__(f"waits for {len(questions)} answer(s)")
        self.questions = dict(questions)
        self.terms: dict[str, Terms] = dict(terms or {})
