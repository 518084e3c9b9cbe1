"""Settings that travel through calls: how a model is asked, how much a run may use. Reads no file."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from stretto._internal.plain import Plain


class ModelSettings(Plain, frozen=True, forbid_unknown_fields=True):
    """How a model is asked. None leaves the choice to the endpoint."""

    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    tool_choice: Literal["auto", "none", "required"] | str | None = None
    """`auto`: the model decides; `none`; `required`: some tool; else the name of one tool."""
    timeout: float = 120.0
    """Seconds for the whole call."""
    first_token: float | None = None
    """Seconds until the first content; None: as long as the whole call may take."""
    idle: float | None = None
    """Seconds between two pieces of content; None: as long as the whole call may take."""
    tier: int | None = None
    """The tier at which a pool begins; 0, the cheapest, where None. Nothing to a model alone."""
    extra: dict[str, Any] = {}
    """Fields passed to the endpoint as they are."""

    def merged(self, other: "ModelSettings | None") -> "ModelSettings":
        """These settings, with those of `other` that are not the default put over them."""
        if other is None or other == _DEFAULT:
            return self
        if self == _DEFAULT:
            return other
        mine, theirs = self._asdict(), other._asdict()
        return ModelSettings(
            **{name: theirs[name] if theirs[name] != getattr(_DEFAULT, name) else mine[name] for name in mine}
        )


_DEFAULT = ModelSettings()


class Limits(Plain, frozen=True, forbid_unknown_fields=True):
    """How much one run may use; None is without a limit. Tokens and seconds are short for `budgets.run`."""

    steps: Annotated[int, Meta(ge=1)] = 50
    """Supersteps of the graph."""
    tokens: Annotated[int, Meta(ge=1)] | None = None
    """Input plus output tokens of all model calls."""
    seconds: Annotated[float, Meta(gt=0)] | None = None
    """Wall time."""


_Above0 = Annotated[float, Meta(gt=0)]
_From1 = Annotated[int, Meta(ge=1)]
_Share = Annotated[float, Meta(ge=0, le=1)]


class Budget(Plain, frozen=True, forbid_unknown_fields=True):
    """How much may be spent; None is without a limit."""

    money: _Above0 | None = None
    """USD, by the prices of the models."""
    tokens: _From1 | None = None
    """Input plus output tokens of model calls."""
    calls: _From1 | None = None
    """Model calls."""
    seconds: _Above0 | None = None
    """Wall time of runs; waiting for a person does not count."""


class WindowBudget(Budget, frozen=True, forbid_unknown_fields=True):
    """How much may be spent within any stretch of time as long as the window."""

    window: _Above0 | None = None
    """Seconds, for instance 86400; None: for ever."""


class Rung(Plain, frozen=True, forbid_unknown_fields=True):
    """What is done once a share of some budget is spent."""

    at: _Share
    """The share, for instance 0.8. A call that cannot be afforded any more takes every rung at once."""
    take: Literal["cheaper_model", "less_context", "no_tools", "partial_answer"]
    """cheaper_model: `model` answers, or the pool begins at `tier`; less_context: at most `history` turns and
    `passages`; no_tools: the model is offered none; partial_answer: the answer is as long as what is left
    pays for, and says so."""
    model: str | None = None
    """Who answers instead: `provider:model`, or `pool:NAME`."""
    tier: int | None = None
    """The tier at which a pool begins, where the agent's model is one."""
    history: _From1 | None = None
    """How many turns the model is shown, this one included; None: as many as otherwise."""
    passages: Annotated[int, Meta(ge=0)] | None = None
    """How many hits the model is shown; None: as many as otherwise."""


class Budgets(Plain, frozen=True, forbid_unknown_fields=True):
    """What an agent may spend, and what it does when a budget is nearly spent."""

    run: Budget = Budget()
    """For one run, with all its pauses and resumes."""
    thread: WindowBudget = WindowBudget()
    """For all runs of a conversation."""
    tenant: WindowBudget = WindowBudget()
    """For all runs of a tenant."""
    nodes: dict[str, Budget] = {}
    """For single nodes by name, within a run."""
    ladder: tuple[Rung, ...] = ()
    """Taken rung by rung, and all that are reached hold."""
    answer: _From1 = 1024
    """Tokens an answer may have where no `max_tokens` is set and tokens or money are limited. So much is
    reserved, and asked for, so that no call can spend more than there is."""


class Price(Plain, frozen=True, forbid_unknown_fields=True):
    """What a model costs, in USD a million tokens."""

    input: Annotated[float, Meta(ge=0)]
    output: Annotated[float, Meta(ge=0)]
    cached: Annotated[float, Meta(ge=0)] | None = None
    """Of input that came from the endpoint's cache; None: as other input."""


PictureFormula = Literal["tiles", "patches", "crops", "area"]
"""How pictures are counted; `media/tokens.py` has a function for each."""


class MediaRules(Plain, frozen=True):
    """How a model takes media. The default is that of a model of which nothing is known."""

    max_side: int = 1568
    """The longest side of a picture, in pixels; larger ones are scaled down before they are sent."""
    max_short: int = 0
    """The shorter side, in pixels; 0: any."""
    max_pixels: int = 0
    """Width times height; 0: any."""
    formula: PictureFormula = "tiles"
    base: int = 85
    """Tokens of any picture, for `tiles`."""
    per_tile: int = 170
    """Tokens of a tile or crop."""
    factor: float = 1.0
    """What `patches` are multiplied by."""
    at_most: int = 1536
    """Patches of a picture."""
    per_second: float = 32.0
    """Tokens of a second of sound: 32 is published for gemini, 10 for gpt-4o-audio."""
    per_page: int = 3000
    """Tokens of a page of a document, text and picture of it together; 1,500 to 3,000 are published."""
    urls: bool = False
    """Whether the endpoint can reach the links that a media store gives; else pictures are sent inline."""
