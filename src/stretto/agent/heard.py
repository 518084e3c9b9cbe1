"""`Heard`: what a run has said so far, for one that is stopped before its end. Passes every event on."""

from stretto.context import Sink
from stretto.events import Event, Retracted, TextDelta


class Heard:
    """A sink that remembers the text that passes through it."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._parts: list[str] = []

    def __call__(self, event: Event) -> None:
        """Passes the event on."""
        if type(event) is TextDelta:
            self._parts.append(event.text)
        elif type(event) is Retracted:
            self.take_back(event.length)
        self._sink(event)

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self._parts)

    def say(self, text: str) -> None:
        """More text, that came before it listened."""
        self._parts.append(text)

    def take_back(self, length: int) -> None:
        """Forgets the last `length` code points."""
        text = self.text
        self._parts = [text[: len(text) - length]]
