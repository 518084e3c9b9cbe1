"""Which models a project names, where each answers, whether its key is set. Opens no model, shows no key."""

import os
from collections.abc import Iterator
from typing import Any

from stretto._internal.plain import Plain
from stretto._internal.project_file import PROJECT_FILE
from stretto._internal.yaml_files import read_yaml
from stretto.agent.project import DEFAULT_EMBEDDER, AgentFile, Project, chat_model, choose_model
from stretto.models.files import POOL, MemberFile, ModelFile, member_file
from stretto.models.providers import PROVIDERS, Usual
from stretto.models.wire.failures import shown_url

_LIMITS = {
    "requests_per_minute": "requests a minute",
    "tokens_per_minute": "tokens a minute",
    "concurrency": "at once",
}


class Configured(Plain, frozen=True):
    """A model, and the part it plays."""

    part: str
    """`chat`, `vision`, `embed`, the pool it is a member of, or an agent with a model of its own."""
    by: str
    """What names it: a file, a variable of the environment, or `default`."""
    file: ModelFile
    embeds: bool = False

    def as_object(self) -> dict[str, Any]:
        """As `--json` prints it."""
        shown: dict[str, Any] = {"part": self.part, "model": self.file.model, "by": self.by}
        shown |= {"base_url": address(self.file), "key_env": key_of(self.file), "key": key_set(self.file)}
        if isinstance(self.file, MemberFile):
            shown |= {"tier": self.file.tier, "weight": self.file.weight}
            shown |= {name: getattr(self.file, name) for name in _LIMITS}
        return shown


def configured(project: Project) -> Iterator[Configured]:
    """The models of a project: its parts, the members of its pools, and what its agents have of their own."""
    models = project.file.models
    by = "STRETTO_MODEL" if os.environ.get("STRETTO_MODEL") else PROJECT_FILE if models.chat else "default"
    yield Configured("chat", by, chat_model(None, AgentFile(), project.file))
    vision = choose_model(os.environ.get("STRETTO_VISION"), models.vision)
    if vision is not None:
        by = "STRETTO_VISION" if os.environ.get("STRETTO_VISION") else PROJECT_FILE
        yield Configured("vision", by, vision)
    by = (
        "STRETTO_EMBEDDER"
        if os.environ.get("STRETTO_EMBEDDER")
        else PROJECT_FILE
        if models.embed
        else "default"
    )
    embed = os.environ.get("STRETTO_EMBEDDER") or models.embed or DEFAULT_EMBEDDER
    yield Configured("embed", by, ModelFile(model=embed), embeds=True)
    for name, pool in project.file.pools.items():
        for member in pool.members:
            yield Configured(f"{POOL}{name}", PROJECT_FILE, member_file(member))
    for source in sorted((project.root / "agents").glob("*/agent.yaml")):
        agent, by = read_yaml(source, AgentFile), str(source.relative_to(project.root))
        for name, pool in agent.pools.items():
            for member in pool.members:
                yield Configured(f"{POOL}{name}", by, member_file(member))
        for part, given in (
            ("chat", agent.model or agent.models.chat),
            ("vision", agent.models.vision),
            ("embed", agent.models.embed),
        ):
            file = choose_model(given)
            if file is not None:
                yield Configured(f"{source.parent.name} {part}", by, file, embeds=part == "embed")


def providers() -> list[dict[str, Any]]:
    """Each provider of an endpoint: its usual address, the variable of its key, and whether that is set."""
    return [
        {
            "name": name,
            "base_url": address(ModelFile(model=f"{name}:")),
            "key_env": provider.usual.key_env,
            "key": bool(os.environ.get(provider.usual.key_env)) if provider.usual.key_env else None,
        }
        for name, provider in PROVIDERS.items()
        if provider.usual is not None
    ]


def address(file: ModelFile) -> str:
    """Where a model answers, without what is secret in it; empty where it has no address."""
    usual = _usual(file)
    given = file.base_url or os.environ.get(usual.base_url_env or "-") or usual.base_url
    return shown_url(given) if given else ""


def key_of(file: ModelFile) -> str:
    """The environment variable with its key; empty where it has none."""
    return file.api_key_env or _usual(file).key_env


def key_set(file: ModelFile) -> bool | None:
    """Whether its key is set; None where it has none."""
    name = key_of(file)
    return bool(os.environ.get(name)) if name else None


def in_pool(file: ModelFile) -> str:
    """What a pool knows of its member, for people: `tier 0, weight 2, 60 requests a minute`."""
    if not isinstance(file, MemberFile):
        return ""
    limits = (
        f"{getattr(file, name):g} {words}"
        for name, words in _LIMITS.items()
        if getattr(file, name) is not None
    )
    return ", ".join((f"tier {file.tier}, weight {file.weight:g}", *limits))


def _usual(file: ModelFile) -> Usual:
    provider = PROVIDERS.get(file.model.partition(":")[0])
    return (provider.usual if provider is not None else None) or Usual()
