"""`pool:NAME`: the pools that `stretto.yaml` names, checked and opened. Knows nothing of how a pool plays."""

import difflib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from stretto._internal.project_file import PROJECT_FILE, project_file
from stretto._internal.yaml_files import place, read_yaml
from stretto.context import Counters
from stretto.errors import ConfigError, ModelNotFound
from stretto.models.files import POOL, PoolFile, member_file, open_model
from stretto.models.pool import Member, Pool, RetryBudget
from stretto.settings import ModelSettings


class _Pools(msgspec.Struct):
    """What of `stretto.yaml` is read here; the rest is read, and checked, by `agent.project`."""

    pools: dict[str, PoolFile] = {}


def open_pool(
    name: str,
    *,
    root: Path | str | None = None,
    settings: ModelSettings | None = None,
    counters: Counters | None = None,
) -> Pool:
    """The pool `name` of the project around `root`.

    Args:
        name: as it stands under `pools:` in stretto.yaml.
        root: a folder of the project; the working directory if None.
        settings: for every member, over its own.
        counters: where limits are counted; in this process if None.

    Raises:
        ModelNotFound: there is no such pool, or no project.
        ConfigError: something in it is wrong, with the place.
    """
    source = project_file(root)
    if source is None:
        raise ModelNotFound(
            f"there is no pool `{name}`: pools stand in {PROJECT_FILE}, and there is none here"
        )
    pools = read_yaml(source, _Pools).pools
    if name not in pools:
        raise ModelNotFound(f"{_unknown(name, pools)} in {source}")
    check_pools(pools, source, name)
    file = pools[name]
    members: list[Member] = []
    for index, given in enumerate(file.members):
        member = member_file(given)
        wanted = file.settings.merged(member.settings).merged(settings)
        try:
            model = open_model(member, root=source.parent, settings=wanted)
        except (ModelNotFound, ConfigError) as error:
            if isinstance(error, ConfigError) and error.where:
                raise
            raise ConfigError(str(error), where=_place(source, name, index)) from None
        members.append(
            Member(
                model,
                weight=member.weight,
                tier=member.tier,
                requests_per_minute=member.requests_per_minute,
                tokens_per_minute=member.tokens_per_minute,
                concurrency=member.concurrency,
            )
        )
    retry = RetryBudget(share=file.retry.share)
    return Pool(members, name=f"{POOL}{name}", hedge=file.hedge, retry=retry, counters=counters)


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
                where=_place(source, name, index),
            )
        if inner not in pools:
            raise ConfigError(_unknown(inner, pools), where=_place(source, name, index))
        _walk(inner, pools, source, (*path, inner))


def _unknown(name: str, pools: Mapping[str, PoolFile]) -> str:
    near = difflib.get_close_matches(name, pools, 1)
    hint = f"did you mean `{POOL}{near[0]}`? " if near else ""
    return f"there is no pool `{name}`: {hint}Pools: {', '.join(pools) or 'none'}"


def _place(source: Path, pool: str, index: int) -> str:
    return place(source, "pools", pool, "members", index, "model")
