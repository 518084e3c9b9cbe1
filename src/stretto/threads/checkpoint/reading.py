"""A serializer for those who only look: what the state does not declare is plain data. Writes nothing.

A thread of another version, or of a graph that is not at hand, can so be shown, compared and exported.
"""

from typing import Any

from stretto.threads.checkpoint.serializer import Reading, StrictSerializer


class ReadingSerializer(StrictSerializer):
    """Reads as `strict` does; never loads a class that `strict` would not load."""

    def __init__(self, strict: StrictSerializer) -> None:
        super().__init__(strict._names, strict._state)  # pyright: ignore[reportPrivateUsage]

    def reading(self) -> Reading:
        """Reads one value."""
        return _Looking(self._names, self._state, self._unpack_ext_hook)


class _Looking(Reading):
    """Gives plain data for what is not declared, or not as the class is today."""

    def built(self, code: int, content: bytes) -> Any:
        """The object, or the name of its type and what it holds."""
        try:
            return Reading(self._names, self._state, self._known).built(code, content)
        except Exception:
            value = self.unpack(content)
            return {"type": f"{value[0]}.{value[1]}", "value": value[2]}


def reading(serde: Any) -> Any:
    """`serde` for those who only look."""
    return ReadingSerializer(serde) if type(serde) is StrictSerializer else serde
