"""The project: `stretto.yaml`, where things are kept, and which setting wins. Opens no model and no store.

Precedence, strongest first: the call, the command line, the environment (`STRETTO_MODEL`, `STRETTO_BASE_URL`,
`STRETTO_API_KEY`, `STRETTO_VISION`, `STRETTO_EMBEDDER`, `STRETTO_THREADS`), `agent.yaml`, `stretto.yaml`.
The key of threads, a secret, is in no file: `STRETTO_THREADS_KEY`.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from stretto._internal.project_file import PROJECT_FILE, project_file
from stretto._internal.yaml_files import place, read_yaml
from stretto.errors import ConfigError, ModelNotFound
from stretto.models.files import POOL, ModelFile, PoolFile, check_pools, unknown_pool
from stretto.settings import Budgets, Limits, Price
from stretto.threads import Retention
from stretto.threads.runs import SecondTurn
from stretto.threads.stores import store_of

DEFAULT_CHAT = "local:qwen2.5-coder-0.5b"
DEFAULT_EMBEDDER = "local:minilm"


class ModelsFile(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which model plays which part."""

    chat: str | ModelFile | None = None
    vision: str | ModelFile | None = None
    """Looks at pictures. Without one, text and labels are read from them locally."""
    embed: str | None = None


class MediaFile(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Where pictures, recordings and documents are kept, and how many."""

    at: str | None = None
    """A folder or a file on `.sqlite`, relative to this file, or a URL such as `s3://bucket/media`."""
    quota: Annotated[int, Meta(ge=0)] | dict[str, Annotated[int, Meta(ge=0)]] | None = None
    """Bytes that each tenant may keep in threads, or those that are named."""


class ProjectFile(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`stretto.yaml`: the root of a project."""

    agent: str | None = None
    """The agent that `stretto chat` and `stretto run` use when none is named."""
    models: ModelsFile = msgspec.field(default_factory=ModelsFile)
    pools: dict[str, PoolFile] = {}
    """Models that play as one: `pool:NAME` is such a model, wherever a chat model is named."""
    prices: dict[str, Price] | None = None
    """What models cost, by `provider:model` or `provider:*`; wins over the package genai-prices."""
    storage: str = ".stretto"
    """Where threads, media and knowledge are kept, relative to this file."""
    threads: str | None = None
    """Where threads are kept: a file, relative to this one; `postgresql://HOST:PORT/NAME`; or `memory`."""
    retention: Retention | None = None
    """How much is kept of threads; all where it is not set."""
    media: MediaFile = msgspec.field(default_factory=MediaFile)


class AgentFile(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`agent.yaml`: one agent."""

    description: str = ""
    model: str | ModelFile | None = None
    """Short for `models.chat`."""
    models: ModelsFile = msgspec.field(default_factory=ModelsFile)
    instructions: str = ""
    prompt: str | None = None
    """A prompt file under `prompts/`, without its ending. Wins over `instructions`."""
    tools: list[str] = []
    """Names of files under `tools/` (all their tools), or of single tools as `file:tool`."""
    knowledge: str | None = None
    """A folder of documents, relative to the agent's folder, or the name of a knowledge base."""
    pools: dict[str, PoolFile] = {}
    """Pools of its own, beside those of stretto.yaml and before them."""
    memory: bool = False
    """Whether what users say of themselves is noted, with their consent, and recalled in their other threads.
    For the preset graph; a graph.py has the nodes `recall` and `remember`."""
    limits: Limits = Limits()
    second_turn: SecondTurn = "reject"
    """What a turn does while another one of its thread runs: it is refused (`reject`), waits (`enqueue`),
    stops the other (`interrupt`), or both become one turn (`merge`)."""
    budgets: Budgets = Budgets()
    """What may be spent for a run, thread, tenant and node, and what is done when it is nearly spent."""
    prices: dict[str, Price] | None = None
    """What models cost; wins over stretto.yaml, model by model. `{}` prices by the package alone."""
    output: str | dict[str, Any] | None = None
    """What answers have to fit: a JSON Schema, or the name of a file with one in the agent's folder."""
    options: dict[str, Any] = {}
    """Whatever the agent's own graph.py reads."""


@dataclass(frozen=True)
class Project:
    """A project's root and what its file says."""

    root: Path
    file: ProjectFile = field(default_factory=ProjectFile)

    @property
    def storage(self) -> Path:
        """Where threads, media and knowledge are kept."""
        return self.root / self.file.storage

    @property
    def threads(self) -> Path | str:
        """Where threads are kept: what `STRETTO_THREADS` or the file says, else `threads.sqlite`."""
        said = os.environ.get("STRETTO_THREADS") or self.file.threads
        if said is None:
            return self.storage / "threads.sqlite"
        return self.root / said if store_of(said) == "sqlite" else said

    @property
    def media(self) -> Path | str:
        """Where media are kept: by default `media` in the storage."""
        at = self.file.media.at
        if at is None:
            return self.storage / "media"
        return at if "://" in at else self.root / at

    def knowledge_path(self, name: str) -> Path:
        """Where the knowledge base `name` is kept."""
        return self.storage / "knowledge" / name

    def agent_folder(self, name: str | None = None) -> Path:
        """The folder of the agent `name` (a name or a path), or of the default agent; raises ConfigError."""
        wanted = name or self.file.agent
        if wanted is None:
            raise ConfigError(
                f"no agent named, and `agent:` is not set in {PROJECT_FILE}",
                where=str(self.root / PROJECT_FILE),
            )
        for folder in (Path(wanted), self.root / wanted, self.root / "agents" / wanted):
            if (folder / "agent.yaml").is_file():
                return folder.resolve()
        raise ConfigError(f"there is no agent `{wanted}`. {_known_agents(self.root)}")


def _known_agents(root: Path) -> str:
    names = sorted(file.parent.name for file in (root / "agents").glob("*/agent.yaml"))
    return f"Known: {', '.join(names)}" if names else f"Make one: {root / 'agents' / 'NAME' / 'agent.yaml'}"


def find_project(start: Path | str | None = None) -> Project:
    """The project around `start` (default: here): the nearest ancestor with `stretto.yaml`, else `start`."""
    file = project_file(start)
    if file is not None:
        said = read_yaml(file, ProjectFile)
        check_pools(said.pools, file)
        for part in ("chat", "vision"):
            model = choose_model(getattr(said.models, part))
            name = model.model.removeprefix(POOL) if model and model.model.startswith(POOL) else ""
            if name and name not in said.pools:
                where = place(file, "models", part, "model")
                raise ModelNotFound(f"{where}: {unknown_pool(name, said.pools)} in {file}")
        return Project(file.parent, said)
    here = Path(start or Path.cwd()).resolve()
    return Project(here if here.is_dir() else here.parent)


def choose_model(*candidates: str | ModelFile | None) -> ModelFile | None:
    """The first that is given, as a ModelFile."""
    for candidate in candidates:
        if candidate is not None:
            return ModelFile(model=candidate) if isinstance(candidate, str) else candidate
    return None


def chat_model(call: str | None, agent: AgentFile, project: ProjectFile) -> ModelFile:
    """Which chat model plays: the call's, the environment's, the agent's or the project's."""
    from_env = os.environ.get("STRETTO_MODEL")
    if from_env is None and call is None and os.environ.get("STRETTO_BASE_URL"):
        raise ConfigError(
            "STRETTO_BASE_URL is set but no model is named. Set STRETTO_MODEL too, for instance openai:NAME"
        )
    outside = call or from_env
    if outside:
        if outside.startswith(("local:", POOL)):  # has its own place, whatever endpoint is set
            return ModelFile(model=outside)
        key = "STRETTO_API_KEY" if "STRETTO_API_KEY" in os.environ else None
        return ModelFile(model=outside, base_url=os.environ.get("STRETTO_BASE_URL"), api_key_env=key)
    return choose_model(agent.model, agent.models.chat, project.models.chat) or ModelFile(model=DEFAULT_CHAT)


def embedder_name(project: Project, configured: str | None = None) -> str:
    """The embedder that `STRETTO_EMBEDDER`, an agent (`configured`) or the project names, else the usual."""
    return os.environ.get("STRETTO_EMBEDDER") or configured or project.file.models.embed or DEFAULT_EMBEDDER
