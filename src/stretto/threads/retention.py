"""`Retention`: how much of its threads a store keeps. Knows no store and no graph."""

from typing import Annotated

from msgspec import Meta

from stretto._internal.plain import Plain
from stretto.errors import ConfigError

Count = Annotated[int, Meta(ge=1)]


class Retention(Plain, frozen=True, forbid_unknown_fields=True):
    """How much is kept of threads; None keeps all. What is over goes at the end of a turn.

    A thread that waits for answers keeps what it needs to go on.
    """

    threads: Count | None = None
    """Threads; those that were used last stay, also while older ones wait for answers."""
    turns: Count | None = None
    """Turns of a conversation, the one that runs included; a turn begins with a message of the person."""
    checkpoints: Count | None = 1
    """Checkpoints of a thread, the latest first: 1 is what it takes to go on from where a turn ended."""

    def __post_init__(self) -> None:
        """Refuses what would keep nothing at all."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise ConfigError(
                    f"Retention: {name} is {value!r}; give a whole number from 1, or None for all"
                )
