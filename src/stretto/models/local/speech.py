"""Speech to text on this machine: whisper-base through faster-whisper (extra `speech`). Fetches nothing.

One model a process; calls wait for each other. Knows no messages and no media store.
"""

import importlib
import threading
from io import BytesIO
from pathlib import Path
from typing import Any

from stretto._internal.plain import Plain
from stretto.errors import DamagedMedia, MediaNotFound, MissingExtra
from stretto.models.local.cache import path_of

MODEL = "whisper-base"
THREADS = 2

_lock = threading.Lock()
_loaded: dict[int, Any] = {}


class Segment(Plain, frozen=True):
    """A stretch of speech; `start` and `end` in seconds."""

    start: float
    end: float
    text: str


class Transcript(Plain, frozen=True):
    """What was said."""

    text: str
    language: str
    """Two letters: the one given, or the one heard."""
    segments: tuple[Segment, ...] = ()


def transcribe(
    recording: str | Path | bytes, *, language: str | None = None, threads: int = THREADS
) -> Transcript:
    """What is said in a recording. Bound to the CPU for up to its own length: call it in a thread.

    Args:
        recording: a path, or the content of an audio file in a common format.
        language: two letters, or None to find out.
        threads: CPU threads to use.

    Raises:
        MissingExtra: faster-whisper is not installed.
        ModelNotFound: the model was not pulled.
        MediaNotFound: no file is there.
        DamagedMedia: it cannot be decoded.
    """
    if not isinstance(recording, bytes) and not Path(recording).is_file():
        raise MediaNotFound(f"There is no recording at {recording}.")
    with _lock:
        model = _model(max(1, threads))
        source = BytesIO(recording) if isinstance(recording, bytes) else str(recording)
        try:
            found, info = model.transcribe(source, language=language)
            segments = tuple(Segment(each.start, each.end, each.text.strip()) for each in found)
        except Exception as error:  # the decoder's errors share no base
            raise DamagedMedia(f"The recording could not be read ({type(error).__name__}).") from None
    return Transcript(" ".join(segment.text for segment in segments), info.language, segments)


def _model(threads: int) -> Any:
    if threads not in _loaded:
        folder = path_of(MODEL).parent
        try:
            whisper: Any = importlib.import_module("faster_whisper")
        except ImportError:
            raise MissingExtra("Turning speech into text", "speech") from None
        _loaded.clear()
        _loaded[threads] = whisper.WhisperModel(
            str(folder), device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True
        )
    return _loaded[threads]
