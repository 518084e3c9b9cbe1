"""On whose behalf a knowledge base is used: each tenant has a folder, with manifest and indexes, of its own.

What belongs to the default tenant is for all. Knows no document.
"""

import hashlib
import os
from collections import OrderedDict
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from stretto.context import running_context
from stretto.errors import ConfigError, KnowledgeError
from stretto.knowledge.opened import Opened, acquire, off_loop, release

DEFAULT_TENANT = "default"
_OPEN = 24
"""Tenants that stay open: each costs some files, 5 MB, and 0.1 s to open."""


def acting_for(tenant: str | None) -> str:
    """The tenant a document is written for: the one given, else the run's, else the default one."""
    context = running_context()
    chosen = tenant if tenant is not None else context.run.tenant if context else DEFAULT_TENANT
    if not isinstance(chosen, str) or not chosen.strip():  # pyright: ignore[reportUnnecessaryIsInstance] (a wrong type at run time)
        raise ConfigError(f"`tenant` is {chosen!r}; give a name")
    return chosen


def reading_for(tenant: str | None) -> str:
    """The tenant that may be read for; a run that acts for one tenant reads for no other."""
    chosen, context = acting_for(tenant), running_context()
    own = context.run.tenant if context else DEFAULT_TENANT
    if own not in (DEFAULT_TENANT, chosen):
        raise KnowledgeError(f"this run acts for the tenant `{own}` and may not read what `{chosen}` has")
    return chosen


def names_of(given: Any, what: str) -> tuple[str, ...]:
    """Groups, or an access list, checked; raises ConfigError."""
    if isinstance(given, str) or not isinstance(given, Collection):
        raise ConfigError(f'`{what}` is {given!r}; give a list of names, such as ["staff"]')
    names: list[str] = []
    for name in cast("Collection[Any]", given):
        if not isinstance(name, str) or not name.strip():
            raise ConfigError(f"`{what}` holds {name!r}; each name is a text that is not empty")
        names.append(name)
    return tuple(names)


class Tenancy:
    """The opened folders of one knowledge base. Used from the event loop."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened: OrderedDict[Path, Opened] = OrderedDict()

    def place(self, tenant: str) -> Path:
        """The tenant's folder."""
        if tenant == DEFAULT_TENANT:
            return self._folder
        name = hashlib.sha256(tenant.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return self._folder / "tenants" / name

    async def tenants(self) -> list[str]:
        """The tenants that have a folder, the default one first."""
        names: list[str] = []
        for place in sorted(self._folder.glob("tenants/*/manifest.sqlite")):
            async with self._used([place.parent]) as (opened,):
                names.append(opened.manifest.tenant() or place.parent.name)
        return [DEFAULT_TENANT, *sorted(names)]

    @asynccontextmanager
    async def writing(self, tenant: str) -> AsyncGenerator[Opened]:
        """The tenant's own base, made where it is missing, for as long as it is used."""
        async with self._used([self.place(tenant)]) as (opened,):
            if tenant != DEFAULT_TENANT and opened.manifest.tenant() is None:
                await off_loop(opened.manifest.set_tenant, tenant)
            yield opened

    @asynccontextmanager
    async def own(self, tenant: str) -> AsyncGenerator[Opened]:
        """The tenant's own base, for as long as it is used; raises KnowledgeError where it has none."""
        place = self.place(tenant)
        if tenant != DEFAULT_TENANT and not place.is_dir():
            raise KnowledgeError(
                f"`{self._folder.name}` has nothing of the tenant `{tenant}`; `stretto kb status` lists the "
                "tenants that it has"
            )
        async with self._used([place]) as (opened,):
            yield opened

    @asynccontextmanager
    async def reading(self, tenant: str) -> AsyncGenerator[list[Opened]]:
        """The bases that the tenant may read: its own where there is one, and the default one."""
        own = [self.place(tenant)] if tenant != DEFAULT_TENANT else []
        async with self._used([place for place in own if place.is_dir()] + [self._folder]) as opened:
            yield opened

    async def close(self) -> None:
        """Gives all folders free. May be called twice."""
        opened, self._opened = list(self._opened.values()), OrderedDict()
        for each in opened:
            if each.process == os.getpid():
                await off_loop(release, each)

    @asynccontextmanager
    async def _used(self, places: list[Path]) -> AsyncGenerator[list[Opened]]:
        taken: list[Opened] = []
        try:
            for place in places:
                taken.append(await self._take(place))
            yield taken
        finally:
            for each in taken:
                if each.references > 1:
                    release(each)
                else:  # closing takes a while
                    await off_loop(release, each)

    async def _take(self, place: Path) -> Opened:
        """A share of the base at `place`; another stays here, so that the next use finds it open."""
        kept = self._opened.get(place)
        if kept is None or kept.process != os.getpid():
            opened = await off_loop(acquire, place)
            kept = self._opened.get(place)
            if kept is None or kept.process != os.getpid():
                self._opened[place] = kept = opened
            else:  # another task of ours was quicker
                release(opened)
            await self._let_go()
        self._opened.move_to_end(place)
        return acquire(place)

    async def _let_go(self) -> None:
        while len(self._opened) > _OPEN + 1:
            place = next(place for place in self._opened if place != self._folder)
            await off_loop(release, self._opened.pop(place))
