"""How a search is asked: plain data, the same in this process and in one that asks over a socket."""

from collections.abc import Mapping
from typing import Any, Literal

from stretto._internal.plain import Plain
from stretto.errors import ConfigError

ALPHA = 0.6
"""The share of the dense leg in the score."""
Expand = int | Literal["section"]


class SearchOptions(Plain, frozen=True):
    """The settings of a search; `checked` says what is wrong with them."""

    top_k: int = 10
    """How many hits at most."""
    where: Mapping[str, Any] | None = None
    """What the hits have to fit; see `filters`."""
    alpha: float | None = None
    """The share of the dense leg in the score, 0..1. None: `search` chooses."""
    feedback: int = 0
    """How many of the best hits lend the query their meaning and it is searched again; 0 for none."""
    diversity: float = 0.0
    """0..1: how much a hit's being unlike those above it counts beside its score."""
    expand: Expand = 0
    """How many neighbours on each side come with a hit, or its whole `section`."""

    def checked(self) -> "SearchOptions":
        """The same; raises ConfigError, which names the setting."""
        if not isinstance(self.top_k, int) or self.top_k < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"`top_k` is {self.top_k!r}; give a whole number of at least 1")
        for name in ("alpha", "diversity"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and 0 <= value <= 1):
                raise ConfigError(f"`{name}` is {value!r}; give a number from 0 to 1")
        if self.where is not None and not isinstance(self.where, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            given = type(self.where).__name__
            raise ConfigError(f"`where` is a {given}; give a dict, such as {{'document': 'a.md'}}")
        if not isinstance(self.feedback, int) or self.feedback < 0:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"`feedback` is {self.feedback!r}; give a whole number of at least 0")
        if self.expand != "section" and not (isinstance(self.expand, int) and self.expand >= 0):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f'`expand` is {self.expand!r}; give a whole number of at least 0, or "section"')
        return self
