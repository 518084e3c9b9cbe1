"""A serializer for those who only look: what the state does not declare is plain data. Writes nothing.

A thread of another version, or of a graph that is not at hand, can so be shown, compared and exported.
"""

from collections.abc import Callable
from typing import Any

import ormsgpack

from stretto.threads.checkpoint.serializer import StrictSerializer


class ReadingSerializer(StrictSerializer):
    """Reads as `strict` does; never loads a class that `strict` would not load."""

    def __init__(self, strict: StrictSerializer) -> None:
        super().__init__(strict._names, strict._state)  # pyright: ignore[reportPrivateUsage]

    def _hook(self, refused: list[str]) -> Callable[[int, bytes], Any]:
        strict = super()._hook(refused)

        def hook(code: int, content: bytes) -> Any:
            try:
                return strict(code, content)
            except Exception:  # not declared, or not as the class is today
                refused.clear()
            value = ormsgpack.unpackb(content, ext_hook=hook, option=ormsgpack.OPT_NON_STR_KEYS)
            return {"type": f"{value[0]}.{value[1]}", "value": value[2]}

        return hook


def reading(serde: Any) -> Any:
    """`serde` for those who only look."""
    return ReadingSerializer(serde) if type(serde) is StrictSerializer else serde
