"""`pool:NAME`: the pools that `stretto.yaml` names, checked and opened. Knows nothing of how a pool plays."""

from pathlib import Path

import msgspec

from stretto._internal.project_file import PROJECT_FILE, project_file
from stretto._internal.yaml_files import read_yaml
from stretto.context import Counters
from stretto.errors import ConfigError, ModelNotFound
from stretto.models.files import (
    POOL,
    PoolFile,
    Pools,
    check_pools,
    member_file,
    open_model,
    place_of_member,
    unknown_pool,
)
from stretto.models.pool import Member, Pool
from stretto.models.wire.failures import shown_url
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
    pools: Pools | None = None,
) -> Pool:
    """The pool `name` of the project around `root`.

    Args:
        name: as it stands under `pools:` in stretto.yaml.
        root: a folder of the project; the working directory if None.
        settings: for every member, over its own.
        counters: where limits are counted; in the file that all processes share if None.
        pools: instead of those of the project: an agent's own among them.

    Raises:
        ModelNotFound: there is no such pool, or no project.
        ConfigError: something in it is wrong, with the place.
    """
    known, source = pools or _of_the_project(root, name)
    if name not in known:
        raise ModelNotFound(f"{unknown_pool(name, known)} in {source}")
    check_pools(known, source, name)
    file = known[name]
    members: list[Member] = []
    for index, given in enumerate(file.members):
        member = member_file(given)
        wanted = file.settings.merged(member.settings).merged(settings)
        try:
            model = open_model(member, root=source.parent, settings=wanted, pools=pools)
        except (ModelNotFound, ConfigError) as error:
            if isinstance(error, ConfigError) and error.where:
                raise
            raise ConfigError(str(error), where=place_of_member(source, name, index)) from None
        members.append(
            Member(
                model,
                weight=member.weight,
                tier=member.tier,
                requests_per_minute=member.requests_per_minute,
                tokens_per_minute=member.tokens_per_minute,
                concurrency=member.concurrency,
                name=f"{member.model} at {shown_url(member.base_url)}" if member.base_url else "",
            )
        )
    return Pool(
        members,
        name=f"{POOL}{name}",
        hedge=file.hedge,
        retries=file.retries,
        breaker=file.breaker,
        outliers=file.outliers,
        counters=counters,
    )


def _of_the_project(root: Path | str | None, name: str) -> Pools:
    source = project_file(root)
    if source is None:
        raise ModelNotFound(
            f"there is no pool `{name}`: pools stand in {PROJECT_FILE}, and there is none here"
        )
    return Pools(read_yaml(source, _Pools).pools, source)
