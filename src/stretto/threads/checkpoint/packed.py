"""`Packed`: values as the `type` and `content` of rows. Knows the serializer and the seal, and no SQL.

A `type` is the serializer's own, `+`, and for a checkpoint the messages that it names (`items.py`). One
without `+` is of a row that langgraph's saver wrote, or an early version of ours.
"""

from typing import Any

from langgraph.checkpoint.serde.base import SerializerProtocol

from stretto.errors import ThreadError
from stretto.threads.seal import Seal

Bare = tuple[str, bytes]
"""What a serializer made of a value: type and bytes."""


class Packed:
    """Packs and reads values of rows.

    Args:
        serde: Makes bytes of them.
        seal: Wraps the bytes.
    """

    def __init__(self, serde: SerializerProtocol, seal: Seal) -> None:
        self.bare = serde.dumps_typed
        self._serde, self._seal = serde, seal

    def row(self, table: str, thread_id: str, bare: Bare, *, names: str = "", metadata: bytes = b"") -> Bare:
        """`type` and `content`.

        Args:
            table: Where the row is.
            thread_id: Whose it is.
            bare: The value.
            names: What the value names, as `named` reads it.
            metadata: What stands beside it and must not change either.
        """
        kind = f"{bare[0]}+{names}"
        return kind, self._seal.seal(bare[1], _about(table, thread_id, kind, metadata))

    def value(
        self, table: str, thread_id: str, kind: str, content: bytes | None, metadata: bytes | None = b""
    ) -> Any:
        """The value of a row; raises ThreadError, which names the thread, where it cannot be read."""
        bare = self.read(table, thread_id, kind, content, metadata)
        try:
            return self._serde.loads_typed(bare)
        except ThreadError as error:
            raise ThreadError(f"thread `{thread_id}`: {error}") from None

    def read(
        self, table: str, thread_id: str, kind: str, content: bytes | None, metadata: bytes | None = b""
    ) -> Bare:
        """The bytes of the value of a row; raises ThreadError where they are damaged, or not for this key."""
        bare, wrapped, _ = kind.partition("+")
        try:
            if not wrapped:
                return bare, self._seal.unsealed(content or b"")
            return bare, self._seal.unseal(content or b"", _about(table, thread_id, kind, metadata))
        except ThreadError as error:
            raise ThreadError(f"thread `{thread_id}`: what is kept in `{table}` {error}") from None

    def moved(
        self,
        table: str,
        source: str,
        target: str,
        kind: str,
        content: bytes | None,
        metadata: bytes | None = b"",
    ) -> bytes | None:
        """The `content` of a row of the thread `source` for one of `target`."""
        if "+" not in kind:
            return content
        bare = self.read(table, source, kind, content, metadata)[1]
        return self._seal.seal(bare, _about(table, target, kind, metadata))


def named(kind: str) -> str:
    """The names in a `type`; empty where there are none."""
    return kind.partition("+")[2]


def _about(table: str, thread_id: str, kind: str, metadata: bytes | None) -> bytes:
    about = "\0".join((table, thread_id, kind, "")).encode("utf-8", "surrogatepass")
    return about + metadata if metadata else about
