"""Logs on stderr, as text or JSON, with every secret masked. Knows no verb.

Only the command line sets logging up; as a library Stretto just has loggers.
"""

import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Literal, TextIO

from stretto._internal.redact import redact

_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.I)
_SHORTEST = 8
_LEVELS = (logging.ERROR, logging.INFO, logging.DEBUG)


def secrets() -> list[str]:
    """The values of environment variables that look like secrets by name."""
    named = (value for name, value in os.environ.items() if _SECRET_NAME.search(name))
    return [value for value in named if len(value) >= _SHORTEST]


class Redacted(logging.Formatter):
    """Writes a record in one of two forms and masks secrets in the whole of it, traceback included."""

    def __init__(self, form: Literal["text", "json"]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        """The record as one text."""
        if self._form == "text":
            return redact(super().format(record), known=secrets())
        entry: dict[str, Any] = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname,
            "logger": record.name,
            "message": redact(record.getMessage(), known=secrets()),
        }
        event: dict[str, Any] | None = getattr(record, "event", None)  # from stretto.observe.log
        if event:
            entry["event"] = {name: _masked(value) for name, value in event.items()}
        if record.exc_info:
            entry["error"] = redact(self.formatException(record.exc_info), known=secrets())
        return json.dumps(entry, ensure_ascii=False, default=str)


def _masked(value: Any) -> Any:
    return redact(value, known=secrets()) if isinstance(value, str) else value


_ahead: list[Callable[[], object]] = []
"""What is called ahead of a line."""


class _OwnLine(logging.StreamHandler[TextIO]):
    def emit(self, record: logging.LogRecord) -> None:
        for call in _ahead:
            call()
        super().emit(record)


@contextmanager
def between(end_line: Callable[[], object]) -> Generator[None]:
    """Logs stand on lines of their own: `end_line` ends one that is open, where stdout is the same place."""
    if not _same_place():
        yield
        return
    _ahead.append(end_line)
    try:
        yield
    finally:
        _ahead.remove(end_line)


def _same_place() -> bool:
    """Whether stdout and stderr are one terminal, or one file."""
    try:
        return os.path.samestat(os.fstat(sys.stdout.fileno()), os.fstat(sys.stderr.fileno()))
    except (OSError, ValueError):
        return False


def start(verbose: int, form: Literal["text", "json"]) -> None:
    """Logs from here on: errors, with `-v` what happens, with `-vv` everything.

    Other packages log warnings, with `-vv` also INFO; at DEBUG some write whole conversations.
    """
    level = _LEVELS[min(verbose, 2)]
    handler = _OwnLine(sys.stderr)
    handler.setFormatter(Redacted(form))
    root = logging.getLogger()
    root.handlers[:] = [each for each in root.handlers if not isinstance(each.formatter, Redacted)]
    root.addHandler(handler)
    root.setLevel(logging.INFO if verbose > 1 else logging.WARNING)
    logging.getLogger("stretto").setLevel(level)
