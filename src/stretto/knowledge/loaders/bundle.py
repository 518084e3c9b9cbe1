"""A zip of documents: each member by its own loader, under a heading with its path."""

from dataclasses import replace

from stretto.errors import DamagedMedia, MediaTooLarge, StrettoError, UnsupportedMedia
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.archive import Archive, escapes
from stretto.knowledge.loaders.assembly import Assembly, visible
from stretto.knowledge.loaders.nested import load_nested
from stretto.knowledge.loaders.protocol import Loaded
from stretto.knowledge.loaders.registry import OFFICE, load, media_type_of
from stretto.knowledge.loaders.text import title_from


def load_bundle(data: bytes, name: str, limits: IngestLimits) -> Loaded:
    """What can be read in an archive; what fails, or would lead out of it, is named in the warnings.

    Raises:
        MediaTooLarge: It unpacks to more than allowed, or archives lie too deep inside each other.
        UnsupportedMedia: It is no zip, is locked, or holds nothing of a kind that is read.
        DamagedMedia: Nothing in it can be read.
    """
    if limits.depth < 1:
        raise MediaTooLarge(f"`{name}` lies deeper inside other archives than is allowed")
    archive = Archive(data, name, limits)
    for part, media_type in OFFICE.items():
        if part in archive.members:
            return load(data, name, media_type, limits)
    assembly = Assembly(name, limits)
    first: StrettoError | None = None
    for path in sorted(archive.members):
        if path.startswith((".", "__MACOSX/")) or ("/." in path and "/../" not in path):
            continue
        if escapes(path):
            assembly.warn(f"left out: `{visible(path)[:100]}` leads out of the archive")
            first = first or UnsupportedMedia(f"`{name}` holds paths that lead out of it; pack it again")
        elif media_type_of(path) is None:
            assembly.warn(f"not read: `{path[:100]}` is of a kind that is not read")
        else:
            first = _take(archive, path, assembly, limits) or first
    for warning in archive.warnings:
        assembly.warn(warning)
    if not len(assembly):
        if first:
            raise first
        error = DamagedMedia if archive.damaged else UnsupportedMedia
        raise error(f"`{name}` holds nothing that can be read; readable are documents, texts, pictures")
    return assembly.loaded(title_from(name), "application/zip")


def _take(archive: Archive, path: str, assembly: Assembly, limits: IngestLimits) -> StrettoError | None:
    try:
        content = archive.read(path)
    except (DamagedMedia, UnsupportedMedia) as error:
        assembly.warn(f"set aside: {error}")
        return error
    inner = replace(limits, depth=limits.depth - 1, expanded=max(1, archive.left))
    return load_nested(assembly, path, content, None, inner, level=1)
