"""Embeddings of any endpoint that speaks OpenAI's `/embeddings`. Knows no store and no chunk.

It asks once for each batch: retries belong to whoever wraps it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import aiohttp
import msgspec
import numpy as np

from stretto.errors import BadResponse, ConfigError, ModelError, ModelTimeout, ModelUnavailable
from stretto.models.wire.endpoint import Endpoint, open_endpoint
from stretto.models.wire.failures import error_of_status
from stretto.models.wire.sessions import Sessions

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DIMENSIONS = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
    "nomic-embed-text": 768,
    "mxbai-embed-large": 1024,
    "bge-m3": 1024,
}
"""As their vendors publish them."""


class _Row(msgspec.Struct):
    index: int
    embedding: list[float]


class _Answer(msgspec.Struct):
    data: list[_Row]


_decode = msgspec.json.Decoder(_Answer).decode


class RemoteEmbedder:
    """An embedding model behind an endpoint.

    Args:
        name: `provider:model`.
        model: the endpoint's name for the model.
        endpoint: where it answers.
        dimensions: asked of the endpoint where given; else as known, or learnt from the first answer.
        batch: texts a request at most.
        batch_characters: characters a request at most, unless one text alone has more.
        timeout: seconds a request may take.
        trust_env: take proxies from the environment.
    """

    def __init__(
        self,
        name: str,
        model: str,
        endpoint: Endpoint,
        *,
        dimensions: int | None = None,
        batch: int = 128,
        batch_characters: int = 200_000,
        timeout: float = 60.0,
        trust_env: bool = False,
    ) -> None:
        self._name = name
        self._model = model
        self._endpoint = endpoint
        self._url = endpoint.url("/embeddings")
        self._asked = dimensions
        self._dimensions = dimensions or _DIMENSIONS.get(model.rsplit("/", 1)[-1].partition(":")[0])
        self._batch = batch
        self._characters = batch_characters
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._sessions = Sessions(trust_env=trust_env)

    @property
    def name(self) -> str:
        """`provider:model`."""
        return self._name

    @property
    def dimensions(self) -> int:
        """Numbers in a vector.

        Raises:
            ConfigError: not known before the first answer.
        """
        if self._dimensions is None:
            raise ConfigError(
                f"the dimensions of `{self._name}` are not known yet: pass dimensions=..., or embed first"
            )
        return self._dimensions

    def __repr__(self) -> str:
        return f"RemoteEmbedder({self._endpoint.where})"

    async def embed(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """An array of shape (len(texts), dimensions), in the order of `texts`, each row of length 1.

        Raises:
            ModelError: the endpoint could not answer.
        """
        if not texts:
            return np.zeros((0, self.dimensions), np.float32)
        rows = [await self._ask(batch) for batch in self._batches(texts)]
        vectors = np.concatenate(rows)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.maximum(lengths, np.float32(1e-12))

    def _batches(self, texts: Sequence[str]) -> Iterator[list[str]]:
        batch: list[str] = []
        characters = 0
        for text in texts:
            if batch and (len(batch) == self._batch or characters + len(text) > self._characters):
                yield batch
                batch, characters = [], 0
            batch.append(text or " ")  # endpoints refuse an empty text
            characters += len(text)
        yield batch

    async def _ask(self, batch: list[str]) -> "NDArray[np.float32]":
        body: dict[str, object] = {"model": self._model, "input": batch, "encoding_format": "float"}
        if self._asked is not None:
            body["dimensions"] = self._asked
        session = await self._sessions.get()
        where = self._endpoint.where
        failure: ModelError | None = None
        status, headers, content = 0, dict[str, str](), b""
        try:
            async with session.post(
                self._url,
                data=msgspec.json.encode(body),
                headers=self._endpoint.headers,
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                status, headers = response.status, dict(response.headers)
                content = await response.read()
        except TimeoutError:
            failure = ModelTimeout(f"{where} did not answer within {self._timeout.total:g} s")
        except (aiohttp.ClientError, OSError):
            failure = ModelUnavailable(f"{where} cannot be reached, or the connection broke")
        if failure is not None:
            raise failure  # outside: what aiohttp raised holds the headers, and must not hang on ours
        if status != 200:
            raise error_of_status(status, headers, content, where=where, secrets=self._endpoint.secrets)
        return self._vectors(content, len(batch))

    def _vectors(self, content: bytes, count: int) -> "NDArray[np.float32]":
        where = self._endpoint.where
        try:
            rows = sorted(_decode(content).data, key=lambda row: row.index)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadResponse(f"{where} sent embeddings that cannot be read: {error}") from None
        if [row.index for row in rows] != list(range(count)):
            raise BadResponse(f"{where} sent {len(rows)} embeddings for {count} texts")
        sizes = {len(row.embedding) for row in rows}
        expected = self._dimensions or len(rows[0].embedding)
        if sizes != {expected}:
            raise BadResponse(
                f"{where} sent vectors of {sorted(sizes)} numbers where {expected} are expected; "
                "pass dimensions=... as the endpoint has it"
            )
        self._dimensions = expected
        return np.array([row.embedding for row in rows], np.float32)

    async def close(self) -> None:
        """Closes the sockets of this event loop. May be called twice."""
        await self._sessions.close()


def open_embedder(
    model: str,
    *,
    provider: str,
    base_url: str | None = None,
    api_key: str | None = None,
    headers: Mapping[str, str] | None = None,
    dimensions: int | None = None,
    batch: int = 128,
    batch_characters: int = 200_000,
    timeout: float = 60.0,
    trust_env: bool = False,
) -> RemoteEmbedder:
    """The embedding model `model` of `provider`; see `RemoteEmbedder` for the arguments.

    Raises:
        ConfigError: no address, or no key where one is needed.
    """
    endpoint = open_endpoint(provider, model, base_url=base_url, api_key=api_key, headers=headers)
    return RemoteEmbedder(
        f"{provider}:{model}",
        model,
        endpoint,
        dimensions=dimensions,
        batch=batch,
        batch_characters=batch_characters,
        timeout=timeout,
        trust_env=trust_env,
    )
