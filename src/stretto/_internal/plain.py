"""The base of every plain type of ours: a frozen msgspec struct that langgraph's serializer takes as it is.

Knows nothing of what the types mean.
"""

from typing import Any

import msgspec


class Plain(msgspec.Struct, frozen=True):
    """A value: compared by content, written to JSON by msgspec, kept in checkpoints by its fields."""

    def _asdict(self) -> dict[str, Any]:
        # langgraph's serializer stores any object with `_asdict` as (module, class, fields).
        return {name: getattr(self, name) for name in self.__struct_fields__}
