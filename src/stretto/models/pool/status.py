"""How a pool's members are told to people and programs, and what they can do together."""

from collections.abc import Sequence

import msgspec

from stretto._internal.plain import Plain
from stretto.models.pool.member import Health, Member, Standing
from stretto.models.protocol import Capabilities


class MemberStatus(Plain, frozen=True):
    """How a member does at one moment."""

    name: str
    health: Health
    tier: int = 0
    in_flight: int = 0
    concurrency: int = 0
    """Calls at once that it is trusted with now."""
    first_token: float = 0.0
    """Seconds that its first token is expected to take; 0 before the first."""
    sent: int = 0
    """Requests so far."""
    failed: int = 0
    """Those that failed by its fault."""
    said: str = ""
    """Its last failure."""


def status_of(standing: Standing, now: float) -> MemberStatus:
    """The state of `standing`."""
    return MemberStatus(
        standing.name,
        standing.health(now),
        standing.member.tier,
        standing.in_flight,
        int(standing.concurrency.limit),
        round(standing.first_tokens.value(now), 4),
        standing.sent,
        standing.failed,
        standing.said,
    )


def unique_names(members: Sequence[Member]) -> list[str]:
    """The members' names; one that is there twice gets a number."""
    names: list[str] = []
    for member in members:
        name = member.name or member.model.name
        same = sum(one == name or one.startswith(f"{name}#") for one in names)
        names.append(f"{name}#{same + 1}" if same else name)
    return names


def joined(all_: Sequence[Capabilities]) -> Capabilities:
    """What any of them can do; `local` and `prefill` only where all are.

    Media are made ready before a member is chosen: as the one with the smallest pictures takes them.
    """
    seeing = [one.media for one in all_ if one.vision] or [one.media for one in all_]
    return Capabilities(
        vision=any(one.vision for one in all_),
        audio=any(one.audio for one in all_),
        tools=any(one.tools for one in all_),
        json_schema=any(one.json_schema for one in all_),
        context=max(one.context for one in all_),
        local=all(one.local for one in all_),
        prefill=all(one.prefill for one in all_),
        media=msgspec.structs.replace(
            min(seeing, key=lambda rules: rules.max_side),
            urls=all(rules.urls for rules in seeing),
        ),
    )
