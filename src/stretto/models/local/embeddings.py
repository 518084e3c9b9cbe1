"""MiniLM on this machine: texts to vectors of 384 numbers, off the event loop. Pulls nothing.

One text at a time goes through the model: that was faster on a CPU than batches. One thread works for all
callers, a few texts at a time, so that a question does not wait for a whole library.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from stretto.errors import ModelError, ModelNotFound
from stretto.models.local.cache import path_of
from stretto.models.local.catalogue import CATALOGUE
from stretto.models.local.sessions import THREADS, session

MODEL = "minilm"
DIMENSIONS = 384
TURN = 8
"""Texts that are embedded before another caller has its turn."""
REMEMBERED = 256
REMEMBERED_LENGTH = 1000


class MiniLM:
    """An `Embedder`: `local:minilm`. Texts are cut at 256 tokens.

    Args:
        threads: CPU threads a text may use.

    Raises:
        ModelNotFound: the model was not pulled.
    """

    def __init__(self, *, threads: int = THREADS) -> None:
        self._model, self._tokenizer_file = path_of(MODEL), path_of(MODEL, "tokenizer.json")
        self._threads = threads
        self._tokenizer: Any = None
        self._worker: ThreadPoolExecutor | None = ThreadPoolExecutor(1, "stretto-minilm")
        self._known: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    @property
    def name(self) -> str:
        """`local:minilm`."""
        return f"local:{MODEL}"

    @property
    def dimensions(self) -> int:
        """384."""
        return DIMENSIONS

    @property
    def languages(self) -> tuple[str, ...]:
        """English: what it makes of other languages is little more than chance."""
        return ("en",)

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """An array of shape (len(texts), 384), each row of length 1.

        Raises:
            ModelError: the embedder is closed.
        """
        if len(texts) == 1 and (known := self._known.get(texts[0])) is not None:
            self._known.move_to_end(texts[0])
            return known.copy()
        rows = np.empty((len(texts), DIMENSIONS), np.float32)
        loop = asyncio.get_running_loop()
        for start in range(0, len(texts), TURN):
            if self._worker is None:
                raise ModelError(f"{self.name} is closed.")
            turn = list(texts[start : start + TURN])
            rows[start : start + TURN] = await loop.run_in_executor(self._worker, self._embed, turn)
        if len(texts) == 1 and len(texts[0]) <= REMEMBERED_LENGTH:
            self._known[texts[0]] = rows.copy()
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return rows

    async def close(self) -> None:
        """Ends the worker thread. May be called twice."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.shutdown(wait=False, cancel_futures=True)

    def _embed(self, texts: list[str]) -> NDArray[np.float32]:
        if self._tokenizer is None:
            self._tokenizer = _tokenizer(self._tokenizer_file)
        model = session(self._model, self._threads)
        rows = np.empty((len(texts), DIMENSIONS), np.float32)
        for number, text in enumerate(texts):
            ids = np.array([self._tokenizer.encode(text).ids], np.int64)
            inputs = {
                "input_ids": ids,
                "attention_mask": np.ones_like(ids),
                "token_type_ids": np.zeros_like(ids),
            }
            mean = model.run(None, inputs)[0][0].mean(axis=0)
            rows[number] = mean / max(float(np.linalg.norm(mean)), 1e-12)
        return rows


def open_embedder(name: str, *, threads: int = THREADS) -> MiniLM:
    """The local embedder called `name`: `minilm` is the only one.

    Args:
        name: the part behind `local:`.
        threads: CPU threads a text may use.

    Raises:
        ModelNotFound: no such embedder, or it was not pulled.
    """
    if name.removeprefix("local:") != MODEL:
        known = ", ".join(f"local:{each.name}" for each in CATALOGUE.values() if each.kind == "embedding")
        raise ModelNotFound(f"No local embedder is called `{name}`; there is {known}.")
    return MiniLM(threads=threads)


def _tokenizer(path: Path) -> Any:
    tokenizer: Any = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(CATALOGUE[MODEL].context)
    tokenizer.no_padding()
    return tokenizer
