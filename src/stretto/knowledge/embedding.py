"""The embedder of a knowledge base: made when first needed, and held to the one that its vectors are from."""

from contextlib import suppress

from stretto.errors import ConfigError, EmbedderMismatch
from stretto.knowledge.opened import Opened, off_loop
from stretto.models.protocol import Embedder


class Embedding:
    """An embedder, or the name of one. `title` is what errors call the knowledge base."""

    def __init__(self, given: Embedder | str, title: str) -> None:
        self._given, self._title = given, title
        self._made: Embedder | None = None if isinstance(given, str) else given

    @property
    def name(self) -> str:
        """What a base remembers it by."""
        return self._given if isinstance(self._given, str) else self._given.name

    def check(self, opened: Opened) -> None:
        """Raises EmbedderMismatch when the base's vectors are from another one; loads nothing."""
        stored = opened.manifest.embedder()
        if stored is not None and stored[0] != self.name:
            raise EmbedderMismatch(
                f"`{self._title}` was built with the embedder `{stored[0]}`, not `{self.name}`; "
                f'pass embedder="{stored[0]}", or rebuild it with this one: '
                f"stretto kb rebuild --embedder {self.name}"
            )

    async def made(self) -> Embedder:
        """The embedder; raises ModelNotFound when its model is not here."""
        if self._made is None:
            from stretto.models.factory import embedder  # noqa: PLC0415 (models load with the first embedding)

            self._made = await off_loop(embedder, str(self._given))
        return self._made

    async def of(self, opened: Opened) -> Embedder:
        """The embedder, noted in the base's manifest; raises EmbedderMismatch."""
        chosen, stored = await self.made(), opened.manifest.embedder()
        if stored is None:
            await off_loop(opened.manifest.set_embedder, chosen.name, await dimensions_of(chosen))
        elif stored != (chosen.name, dimensions := await dimensions_of(chosen)):
            raise EmbedderMismatch(
                f"`{self._title}` was built with `{stored[0]}` ({stored[1]} dimensions), "
                f"not `{chosen.name}` ({dimensions})"
            )
        return chosen

    async def close(self) -> None:
        """Closes the embedder, if it was made here; the next use makes it again. May be called twice."""
        if isinstance(self._given, str) and self._made is not None:
            made, self._made = self._made, None
            await made.close()


async def dimensions_of(embedder: Embedder) -> int:
    """Its dimensions; an endpoint's model that nobody knows is asked for a vector first."""
    with suppress(ConfigError):
        return embedder.dimensions
    return (await embedder.embed(["dimensions"])).shape[1]
