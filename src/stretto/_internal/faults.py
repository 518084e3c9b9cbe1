"""`reach`: a named place where a test may stop, kill or fail the process. Free when nobody listens."""

from collections.abc import Callable

_listening: Callable[[str], None] | None = None


def reach(name: str) -> None:
    """Says that the program is at `name`, such as `effect.before`."""
    if _listening is not None:
        _listening(name)


def listen(listener: Callable[[str], None] | None) -> None:
    """Lets `listener` hear every name that is reached, and raise or kill there; None ends it."""
    global _listening
    _listening = listener
