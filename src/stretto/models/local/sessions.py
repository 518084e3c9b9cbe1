"""Opens ONNX models, each once per process. Knows none of them."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # pyright: ignore[reportMissingTypeStubs]
from numpy.typing import NDArray

from stretto.errors import ModelError

THREADS = 2

_lock = threading.Lock()
_sessions: dict[tuple[Path, int], "Session"] = {}


class Session:
    """A loaded model. May be run from several threads."""

    def __init__(self, path: Path, threads: int) -> None:
        ort: Any = onnxruntime  # it has no type information
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry(
            "session.intra_op.allow_spinning", "0"
        )  # idle threads give the CPU back
        try:
            self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors share no base of their own
            raise ModelError(f"{path} could not be opened as a model ({type(error).__name__}).") from None

    def run(self, outputs: list[str] | None, inputs: dict[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """The outputs named, or all."""
        return self._session.run(outputs, inputs)


def session(path: Path, threads: int = THREADS) -> Session:
    """The model at `path`, opened at its first use. A call may use up to `threads` threads."""
    key = (path, max(1, threads))
    with _lock:
        if key not in _sessions:
            _sessions[key] = Session(*key)
        return _sessions[key]
