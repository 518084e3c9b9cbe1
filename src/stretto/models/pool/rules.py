"""How a pool plays: hedge, retries, breaker and outliers as plain settings. Holds no state."""

from typing import Annotated

from msgspec import Meta

from stretto._internal.plain import Plain

Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]


class Hedge(Plain, frozen=True, forbid_unknown_fields=True):
    """When a second member is asked beside the first: the one that speaks first is heard."""

    quantile: Annotated[float, Meta(gt=0, lt=1)] = 0.95
    """Of the learned times to the first token: a call that takes longer is hedged."""
    samples: Count = 20
    """First tokens that have to be known before anything is hedged."""
    least: Seconds = 0.01
    """Never sooner than this."""


class Retries(Plain, frozen=True, forbid_unknown_fields=True):
    """How many requests may be sent beside those that callers asked for, hedges included."""

    share: Share = 0.15
    """Of the calls."""
    floor: Annotated[int, Meta(ge=0)] = 10
    """Requests that may be sent besides before any call has paid in."""
    attempts: Count = 4
    """Of one call, the first one included."""
    delay: Seconds = 0.25
    """Before a member is asked again that has failed this call; doubled each time, and spread."""


class Breaker(Plain, frozen=True, forbid_unknown_fields=True):
    """When a failing member is left alone, and how its recovery is seen."""

    failures: Count = 5
    """In a row; or half of the last 20."""
    cooldown: Seconds = 1.0
    """Until it is tried again; doubled while it stays down."""
    longest: Seconds = 30.0
    """The most that the cooldown grows to, and that a trial is waited for."""
    probe: bool = True
    """Try it with requests of one token of our own too; else its recovery is seen by callers' alone."""


class Outliers(Plain, frozen=True, forbid_unknown_fields=True):
    """When a member that answers, but far slower than the others, is left out for a while."""

    times: Annotated[float, Meta(gt=1)] = 4.0
    """Its time to the first token, in medians of the others."""
    samples: Count = 5
    """First tokens of it that have to be known."""
    seconds: Seconds = 10.0
    """It is left out; longer each time in a row."""
    most: Share = 0.5
    """Of the members that may be left out at once; never all."""
