"""`WrappingModel`: what a `ChatModel` around another one has from it. Knows no call."""

from stretto.models.protocol import Capabilities, ChatModel


class WrappingModel:
    """The name, the capabilities and the end of the model inside; `stream` is the subclass's to write.

    Args:
        model: The one inside.
    """

    def __init__(self, model: ChatModel) -> None:
        self._model = model

    @property
    def name(self) -> str:
        """The model's."""
        return self._model.name

    @property
    def capabilities(self) -> Capabilities:
        """The model's."""
        return self._model.capabilities

    async def close(self) -> None:
        """Closes the model."""
        await self._model.close()
