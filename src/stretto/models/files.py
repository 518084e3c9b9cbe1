"""Models and pools as configuration files describe them, and how such a description becomes a model.

The files themselves are read by others: `stretto.yaml` and `agent.yaml` in `agent`, pools by name in
`named`.
"""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from stretto._internal.yaml_files import place
from stretto.errors import ConfigError
from stretto.models.factory import Model
from stretto.models.pool.rules import Breaker, Hedge, Outliers, Retries
from stretto.models.protocol import ChatModel
from stretto.settings import ModelSettings

POOL = "pool:"
"""How the name of a pool begins."""


class CacheFile(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Answers of a model that are kept, given at once to who asks the same again. `{}` takes the usual."""

    ttl: Annotated[float, Meta(gt=0)] = 3600.0
    """Seconds."""
    megabytes: Annotated[int, Meta(ge=1)] = 256
    """Of `answers.sqlite` in the project's storage."""


class ModelFile(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A model with its endpoint. A plain string is short for `model` alone."""

    model: str
    """`provider:model`, or `pool:NAME` of a pool in stretto.yaml."""
    base_url: str | None = None
    """The endpoint, for instance http://localhost:8000/v1."""
    api_key_env: str | None = None
    """The name of the environment variable that holds the key; never the key itself."""
    headers: dict[str, str] = {}
    settings: ModelSettings = ModelSettings()
    options: dict[str, Any] = {}
    """What the provider takes besides: `threads` or `n_ctx` of a local model, for instance."""
    cache: CacheFile | None = None
    """Keep its answers. Without it, none is kept."""


class MemberFile(ModelFile, forbid_unknown_fields=True, kw_only=True):
    """A model of a pool. A plain string is short for `model` alone."""

    weight: Annotated[float, Meta(gt=0)] = 1.0
    """How much of the load it takes beside its equals: 2 takes twice that of 1."""
    tier: Annotated[int, Meta(ge=0)] = 0
    """0 is asked first; higher ones when those fail, or when a call asks for them."""
    requests_per_minute: Annotated[int, Meta(ge=1)] | None = None
    tokens_per_minute: Annotated[int, Meta(ge=1)] | None = None
    """Input and output together."""
    concurrency: Annotated[int, Meta(ge=1)] | None = None
    """Calls at once; learnt from its latency where None."""


class PoolFile(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Models that play as one, named `pool:NAME`."""

    members: Annotated[list[str | MemberFile], Meta(min_length=1)]
    hedge: bool | Hedge = False
    """Ask a second member when the first text is later than usual; the slower one is cancelled."""
    retries: Retries = Retries()
    breaker: bool | Breaker = True
    """Leave a failing member alone until it recovers."""
    outliers: bool | Outliers = True
    """Leave out a member that is far slower than the others."""
    settings: ModelSettings = ModelSettings()
    """For every member; its own settings win."""


class Pools(NamedTuple):
    """Pools by name, and the file that an error about them points at."""

    known: Mapping[str, PoolFile]
    source: Path


def member_file(member: str | MemberFile) -> MemberFile:
    """A member as it stands in a file, with all its fields."""
    return MemberFile(model=member) if isinstance(member, str) else member


def open_model(
    file: ModelFile,
    storage: Path | None = None,
    *,
    root: Path | None = None,
    settings: ModelSettings | None = None,
    pools: Pools | None = None,
) -> ChatModel:
    """The model that `file` describes. The key is read from the environment, never from a file.

    Args:
        file: the description.
        storage: the folder for the answers of a model with `cache:`; they stay in memory without one.
        root: the project whose pools `pool:NAME` means; the one around the working directory if None.
        settings: used instead of the file's.
        pools: what `pool:NAME` means, instead of the pools of the project.

    Raises:
        ModelNotFound: there is no such provider or pool.
        ConfigError: something in it is wrong, or its key is not set.
    """
    own = {"root": root, "pools": pools} if file.model.startswith(POOL) else {}
    settings = settings or file.settings
    model = Model(
        file.model,
        base_url=file.base_url,
        api_key=api_key_of(file),
        headers=file.headers or None,
        settings=settings,
        **own,
        **file.options,
    )
    if file.cache is None:
        return model
    # whatever else tells this model from another of its name
    what = msgspec.json.encode([file.base_url, file.headers, settings, file.options])
    return _cached(model, file.cache, storage, scope=what.decode())


def _cached(model: ChatModel, cache: CacheFile, storage: Path | None, *, scope: str) -> ChatModel:
    from stretto.models.cached import (  # noqa: PLC0415 (sqlite and asyncio, for those who keep answers)
        Cached,
        MemoryStore,
        SqliteStore,
    )

    size = cache.megabytes * 1024 * 1024
    store = (
        SqliteStore(storage / "answers.sqlite", max_bytes=size) if storage else MemoryStore(max_bytes=size)
    )
    return Cached(model, store, ttl=cache.ttl, scope=scope)


def api_key_of(file: ModelFile) -> str | None:
    """The key, from the variable that `file` names, if any; raises ConfigError when that is not set."""
    if file.api_key_env is None:
        return None
    api_key = os.environ.get(file.api_key_env)
    if api_key is None:
        raise ConfigError(f"the environment variable `{file.api_key_env}` of model `{file.model}` is not set")
    return api_key


def models_behind(name: str, pools: Mapping[str, PoolFile]) -> list[str]:
    """The names of the models that play when `name` is asked: its own, or those in the pool it names."""
    pool = pools.get(name.removeprefix(POOL)) if name.startswith(POOL) else None
    if pool is None:
        return [name]
    inner = [models_behind(member_file(member).model, pools) for member in pool.members]
    return list(dict.fromkeys(model for models in inner for model in models))


def check_pools(pools: Mapping[str, PoolFile], source: Path, *names: str) -> None:
    """Raises ConfigError, with the place in `source`, for a member that is no pool, or the pool itself.

    Args:
        pools: those of the project.
        source: the file they stand in.
        names: which to look at; all where none is given.
    """
    for name in names or pools:
        _walk(name, pools, source, (name,))


def _walk(name: str, pools: Mapping[str, PoolFile], source: Path, path: tuple[str, ...]) -> None:
    for index, member in enumerate(pools[name].members):
        model = member_file(member).model
        if not model.startswith(POOL):
            continue
        inner = model.removeprefix(POOL)
        if inner in path:
            circle = " > ".join((*path[path.index(inner) :], inner))
            raise ConfigError(
                f"the pool `{inner}` contains itself ({circle}); name models here",
                where=place_of_member(source, name, index),
            )
        if inner not in pools:
            raise ConfigError(unknown_pool(inner, pools), where=place_of_member(source, name, index))
        _walk(inner, pools, source, (*path, inner))


def unknown_pool(name: str, pools: Mapping[str, PoolFile]) -> str:
    """What to say of a pool that is not there: the known ones."""
    near = difflib.get_close_matches(name, pools, 1)
    hint = f"did you mean `{POOL}{near[0]}`? " if near else ""
    return f"there is no pool `{name}`: {hint}Pools: {', '.join(pools) or 'none'}"


def place_of_member(source: Path, pool: str, index: int) -> str:
    """Where the model of this member stands in `source`."""
    return place(source, "pools", pool, "members", index, "model")
