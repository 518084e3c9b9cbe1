"""`ReadyPictures`: pictures as a model gets them, so that one which many questions refer to is made once.

In memory only, and bounded. Knows no store and no model.
"""

import time
from collections import OrderedDict
from threading import Lock

import msgspec

LINK = 3600.0
"""Seconds that a link works; it is given again for half of them, so that prompts stay the same."""

Limits = tuple[int, int, int]
"""The longest side, the shorter side and the pixels that a picture was made for."""


class Ready(msgspec.Struct, frozen=True):
    """A picture as a model gets it. Sizes are pixels."""

    source: str
    """A data URL."""
    media_type: str
    width: int
    height: int
    as_stored: bool
    """Whether these are the bytes of the store: upright, bare of metadata, and small enough already."""


class ReadyPictures:
    """The pictures used last, by reference and limits; usable from every thread.

    Args:
        most: Bytes that all may have together.
    """

    def __init__(self, most: int = 64_000_000) -> None:
        self._most = most
        self._size = 0
        self._kept: OrderedDict[tuple[str, Limits], Ready] = OrderedDict()
        self._links: dict[str, tuple[str, float]] = {}
        self._lock = Lock()

    def find(self, reference: str, limits: Limits) -> Ready | None:
        """The picture, if it is here."""
        with self._lock:
            found = self._kept.get((reference, limits))
            if found is not None:
                self._kept.move_to_end((reference, limits))
            return found

    def keep(self, reference: str, limits: Limits, ready: Ready) -> None:
        """Keeps it, and drops those that were not used for longest where there are too many."""
        with self._lock:
            self._drop((reference, limits))
            self._kept[reference, limits] = ready
            self._size += len(ready.source)
            while self._size > self._most:
                self._drop(next(iter(self._kept)))

    def link(self, reference: str) -> str | None:
        """A link that was given lately."""
        url, until = self._links.get(reference, (None, 0.0))
        return url if until > time.monotonic() else None

    def keep_link(self, reference: str, url: str) -> None:
        """Keeps a link that works for `LINK` seconds from now on."""
        now = time.monotonic()
        with self._lock:
            self._links = {key: link for key, link in self._links.items() if link[1] > now}
            self._links[reference] = url, now + LINK / 2

    def forget(self, reference: str) -> None:
        """Drops a picture that its store has dropped."""
        with self._lock:
            self._links.pop(reference, None)
            for key in [key for key in self._kept if key[0] == reference]:
                self._drop(key)

    def _drop(self, key: tuple[str, Limits]) -> None:
        gone = self._kept.pop(key, None)
        if gone is not None:
            self._size -= len(gone.source)
