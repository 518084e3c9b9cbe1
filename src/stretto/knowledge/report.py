"""What an `add`, a `verify` and a `rebuild` did. Plain data."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from stretto.errors import StrettoError

Progress = Callable[[int, int, str], None]
"""Takes (documents done, documents in all, what is being done)."""


@dataclass
class AddReport:
    """The outcome of one `add`. Lists hold document ids."""

    added: list[str] = field(default_factory=list[str])
    changed: list[str] = field(default_factory=list[str])
    unchanged: list[str] = field(default_factory=list[str])
    removed: list[str] = field(default_factory=list[str])
    failed: list[tuple[str, StrettoError]] = field(default_factory=list[tuple[str, StrettoError]])
    """Sources that could not be read, each with why; what was stored of them before stays."""
    skipped: list[str] = field(default_factory=list[str])
    """Files of a folder or glob that are of a kind no loader reads."""
    warnings: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Documents of which something was lost or left out, each with what: they are in all the same."""
    embedded: int = 0
    """How many chunks were embedded."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON; an error becomes its class and message."""
        failed = [
            {"source": source, "error": type(error).__name__, "message": str(error)}
            for source, error in self.failed
        ]
        return {
            "added": self.added,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "removed": self.removed,
            "failed": failed,
            "skipped": self.skipped,
            "warnings": [{"document": key, "message": message} for key, message in self.warnings],
            "embedded": self.embedded,
        }


@dataclass
class VerifyReport:
    """What one `verify` found. Lists hold ids of passages."""

    chunks: int = 0
    """How many passages there are."""
    without_vector: list[str] = field(default_factory=list[str])
    """Passages whose vector is missing or damaged."""
    unreachable: list[str] = field(default_factory=list[str])
    """Passages that a search for their own vector does not find, nor one of equal text."""
    without_words: list[str] = field(default_factory=list[str])
    """Passages that the keyword index does not hold."""
    surplus: int = 0
    """Rows of the indexes that belong to no passage; no search shows them."""
    embedded: int = 0
    """How many passages were embedded again."""
    rebuilt: bool = False
    """Whether the indexes had to be built anew."""
    repaired: bool = False
    """Whether something was wrong, and is not any more."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong now."""
        wrong = self.without_vector or self.unreachable or self.without_words or self.surplus
        return self.repaired or not wrong

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"ok": self.ok, **asdict(self)}


@dataclass(frozen=True)
class RebuildReport:
    """What one `rebuild` did."""

    chunks: int
    """How many passages there are now, of all tenants."""
    embedded: int
    """How many of them were embedded."""
    embedder: str

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)
