"""What a graph is built from: an agent's models, tools, knowledge and prompts, made when first asked for."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from stretto._internal.project_file import PROJECT_FILE
from stretto._internal.yaml_files import place
from stretto.agent.project import AgentFile, Project, chat_model, choose_model, embedder_name
from stretto.agent.spending import Spending
from stretto.errors import ConfigError, ModelNotFound
from stretto.knowledge import KnowledgeBase
from stretto.models import embedder
from stretto.models.files import ModelFile, Pools, open_model
from stretto.models.protocol import ChatModel, Embedder, OutputSchema
from stretto.prompts import Prompt, load
from stretto.settings import Limits
from stretto.tools import Tool


class Models:
    """An agent's models by the part they play, each made when first asked for.

    Args:
        project: where its pools stand.
        file: what its agent.yaml says.
        model: answers instead of the configured chat model.
        source: its agent.yaml, for errors.
    """

    def __init__(
        self, project: Project, file: AgentFile, *, model: str | None = None, source: Path | None = None
    ) -> None:
        self._project, self._file, self._call, self._source = project, file, model, source

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
        return self._open("chat", chat_model(self._call, self._file, self._project.file))

    @cached_property
    def vision(self) -> ChatModel | None:
        """Looks at pictures: the one configured, else the chat model if it can see, else None."""
        chosen = self._vision_file()
        if chosen is not None:
            same = chosen == chat_model(self._call, self._file, self._project.file)
            return self.chat if same else self._open("vision", chosen)
        return self.chat if self.chat.capabilities.vision else None

    @cached_property
    def embed(self) -> Embedder:
        """Turns texts into vectors."""
        return embedder(self._embed_name())

    def _embed_name(self) -> str:
        return embedder_name(self._project, self._file.models.embed)

    def _vision_file(self) -> ModelFile | None:
        configured = self._file.models.vision, self._project.file.models.vision
        return choose_model(os.environ.get("STRETTO_VISION"), *configured)

    def _open(self, part: str, file: ModelFile) -> ChatModel:
        """The model that plays `part`; what is wrong with its name is told with the place that says it."""
        try:
            return open_model(file, self._project.storage, root=self._project.root, pools=self.pools())
        except (ModelNotFound, ConfigError) as error:
            where = "" if getattr(error, "where", "") else self._place(part, file)
            if not where:
                raise
            if isinstance(error, ConfigError):
                raise ConfigError(str(error), where=where) from None
            raise ModelNotFound(f"{where}: {error}") from None

    def pools(self) -> Pools | None:
        """The project's pools with the agent's own, where it has some."""
        own, source = self._file.pools, self._source
        return Pools({**self._project.file.pools, **own}, source) if own and source else None

    def _place(self, part: str, file: ModelFile) -> str:
        """Where a file names this model; empty where the call or the environment does."""
        models = self._file.models, self._project.file.models
        project = self._project.root / PROJECT_FILE
        said: tuple[tuple[Any, Path | None, tuple[str, ...]], ...] = (
            (self._file.model if part == "chat" else None, self._source, ("model", "model")),
            (getattr(models[0], part), self._source, ("models", part, "model")),
            (getattr(models[1], part), project, ("models", part, "model")),
        )
        found = ((source, steps) for value, source, steps in said if choose_model(value) == file)
        source, steps = next(found, (None, ()))
        return place(source, *steps) if source is not None else ""

    def answering(self) -> list[ChatModel]:
        """Those that were made to answer or to look, each once."""
        return list(self._made("chat", "vision").values())

    async def close(self) -> None:
        """Closes those that were made."""
        for model in self._made("chat", "vision", "embed").values():
            await model.close()

    def _made(self, *parts: str) -> dict[int, Any]:
        made = self.__dict__
        return {id(made[part]): made[part] for part in parts if made.get(part)}


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

    def spending(self) -> Spending:
        """What may be spent, with the prices of agent.yaml over those of stretto.yaml."""
        declared = self.project.file.prices, self.file.prices
        prices = None if declared == (None, None) else {**(declared[0] or {}), **(declared[1] or {})}
        root, pools = self.project.root, self.models.pools()
        spending = Spending(
            self.file.budgets,
            prices=prices,
            open_model=lambda name: open_model(ModelFile(model=name), root=root, pools=pools),
            source=self.folder / "agent.yaml",
        )
        spending.check_ladder(self.limits)
        return spending

    @property
    def options(self) -> Mapping[str, Any]:
        """The `options:` of agent.yaml."""
        return self.file.options

    def prompt(self, name: str) -> Prompt:
        """The prompt file `prompts/<name>.md` of the project."""
        return load(self.project.root, name)
