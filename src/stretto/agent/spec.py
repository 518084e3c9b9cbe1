"""What a graph is built from: an agent's models, tools, knowledge and prompts, made when first asked for."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from stretto.agent.project import (
    DEFAULT_EMBEDDER,
    AgentFile,
    CacheFile,
    ModelFile,
    Project,
    chat_model,
    choose_model,
)
from stretto.errors import ConfigError
from stretto.knowledge import KnowledgeBase
from stretto.models import Model, embedder
from stretto.models.cached import Cached, MemoryStore, SqliteStore
from stretto.models.protocol import ChatModel, Embedder, OutputSchema
from stretto.prompts import Prompt, load
from stretto.settings import Limits
from stretto.tools import Tool


def open_model(file: ModelFile, storage: Path | None = None) -> ChatModel:
    """The model that `file` describes. The key is read from the environment, never from a file.

    Args:
        file: What agent.yaml or stretto.yaml says.
        storage: The folder for the answers of a model with `cache:`; they stay in memory without one.
    """
    api_key = None
    if file.api_key_env is not None:
        api_key = os.environ.get(file.api_key_env)
        if api_key is None:
            raise ConfigError(
                f"the environment variable `{file.api_key_env}` of model `{file.model}` is not set"
            )
    model = Model(
        file.model,
        base_url=file.base_url,
        api_key=api_key,
        headers=file.headers or None,
        settings=file.settings,
        **file.options,
    )
    return model if file.cache is None else _cached(model, file, file.cache, storage)


def _cached(model: ChatModel, file: ModelFile, cache: CacheFile, storage: Path | None) -> ChatModel:
    size = cache.megabytes * 1024 * 1024
    store = (
        SqliteStore(storage / "answers.sqlite", max_bytes=size) if storage else MemoryStore(max_bytes=size)
    )
    what = msgspec.json.encode([file.base_url, file.headers, file.settings, file.options])
    return Cached(model, store, ttl=cache.ttl, scope=what.decode())


class Models:
    """An agent's models by the part they play, each made when first asked for."""

    def __init__(self, project: Project, file: AgentFile, *, model: str | None = None) -> None:
        self._project, self._file, self._call = project, file, model

    def names(self) -> dict[str, str]:
        """`provider:model` of chat, vision and embed; vision is empty where no model is configured to see."""
        vision = self._vision_file()
        return {
            "chat": chat_model(self._call, self._file, self._project.file).model,
            "vision": vision.model if vision else "",
            "embed": self._embed_name(),
        }

    @cached_property
    def chat(self) -> ChatModel:
        """Answers."""
        return open_model(chat_model(self._call, self._file, self._project.file), self._project.storage)

    @cached_property
    def vision(self) -> ChatModel | None:
        """Looks at pictures: the one configured, else the chat model if it can see, else None."""
        chosen = self._vision_file()
        if chosen is not None:
            return open_model(chosen, self._project.storage)
        return self.chat if self.chat.capabilities.vision else None

    @cached_property
    def embed(self) -> Embedder:
        """Turns texts into vectors."""
        return embedder(self._embed_name())

    def _embed_name(self) -> str:
        configured = self._file.models.embed or self._project.file.models.embed
        return os.environ.get("STRETTO_EMBEDDER") or configured or DEFAULT_EMBEDDER

    def _vision_file(self) -> ModelFile | None:
        configured = self._file.models.vision, self._project.file.models.vision
        return choose_model(os.environ.get("STRETTO_VISION"), *configured)

    async def close(self) -> None:
        """Closes those that were made."""
        made = self.__dict__
        for model in {
            id(made[part]): made[part] for part in ("chat", "vision", "embed") if made.get(part)
        }.values():
            await model.close()


@dataclass(frozen=True)
class AgentSpec:
    """What `build(spec)` of an agent's graph.py receives."""

    name: str
    folder: Path
    project: Project
    models: Models
    file: AgentFile = field(default_factory=AgentFile)
    tools: tuple[Tool, ...] = ()
    knowledge: KnowledgeBase | None = None

    output: OutputSchema | None = None
    """What answers have to fit, by agent.yaml."""

    @property
    def limits(self) -> Limits:
        """What one run may use."""
        return self.file.limits

    @property
    def options(self) -> Mapping[str, Any]:
        """The `options:` of agent.yaml."""
        return self.file.options

    def prompt(self, name: str) -> Prompt:
        """The prompt file `prompts/<name>.md` of the project."""
        return load(self.project.root, name)
