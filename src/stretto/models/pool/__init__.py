"""A pool: many models play as one.

pool       Pool: retries, hedges, failover              call       one call, and what was shown of its answer
seats      who takes a call and when; line: who waits   choice     the better of two; outliers
member     Member, and how it stands                    rates      requests and tokens a minute
circuit, concurrency, latency, spare: one mechanism each           rules      their settings
probe      sees recovery without traffic                hedge      the race for the first token
status     how members are told to people
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from stretto.models.pool.rules import Breaker, Hedge, Outliers, Retries

if TYPE_CHECKING:
    from stretto.models.pool.member import Member
    from stretto.models.pool.pool import Pool
    from stretto.models.pool.status import MemberStatus

__all__ = ["Breaker", "Hedge", "Member", "MemberStatus", "Outliers", "Pool", "Retries"]

_HOME = {"Member": "member", "MemberStatus": "status", "Pool": "pool"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"stretto.models.pool.{_HOME[name]}"), name)
