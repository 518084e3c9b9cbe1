"""What a user adds, taken apart: paths, folders, globs, URLs and documents become items. Reads no content."""

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from stretto.documents import Document
from stretto.errors import ConfigError, MediaNotFound, MediaTooLarge, StrettoError
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.registry import media_type_of
from stretto.knowledge.manifest import Manifest

Source = str | os.PathLike[str] | Document
"""A path, folder, glob, URL, or a document with its text."""


@dataclass(frozen=True, slots=True)
class Item:
    """One document to read. Exactly one of `path`, `url` and `document` is set."""

    source: str
    """Where it is, as it is kept: relative to the project where it lies inside."""
    name: str
    """The id it would like to have."""
    origin: str = ""
    path: Path | None = None
    url: str | None = None
    document: Document | None = None


@dataclass
class Expanded:
    """The items, the folders and globs that were gone through, and what could not be taken."""

    items: list[Item] = field(default_factory=list[Item])
    origins: list[str] = field(default_factory=list[str])
    skipped: list[str] = field(default_factory=list[str])
    failed: list[tuple[str, StrettoError]] = field(default_factory=list[tuple[str, StrettoError]])


def shown(path: Path, root: Path) -> str:
    """The path relative to `root` where it lies inside, else whole, with forward slashes."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def expand(sources: Sequence[Source | Iterable[Source]], root: Path, limits: IngestLimits) -> Expanded:
    """All items behind `sources`, each file once; what is not there is among `failed`."""
    expanded = Expanded()
    seen: set[str] = set()
    for source in _flat(sources):
        if isinstance(source, Document):
            problem = _problem(source)
            if problem:
                expanded.failed.append((str(source.id), ConfigError(problem)))
            else:
                expanded.items.append(Item(source.source, source.id, document=source))
        elif _is_url(text := os.fspath(source)):
            expanded.items.append(Item(text, text, url=text))
        else:
            try:
                _expand_path(text, root, limits, expanded, seen)
            except (OSError, ValueError) as error:
                expanded.failed.append((text, MediaNotFound(f"`{text}` cannot be read: {error}")))
            except StrettoError as error:
                expanded.failed.append((text, error))
    return expanded


def stamps(
    sources: Sequence[Source | Iterable[Source]], root: Path, limits: IngestLimits
) -> dict[str, tuple[int, int, int]]:
    """What tells a change of each file behind `sources` without reading it: time, size and number."""
    found: dict[str, tuple[int, int, int]] = {}
    for item in expand(sources, root, limits).items:
        if item.path is not None:
            with suppress(OSError):
                state = item.path.stat()
                found[item.source] = (state.st_mtime_ns, state.st_size, state.st_ino)
    return found


def _problem(document: Document) -> str:
    """What keeps a document that was passed in from being stored; empty where nothing does."""
    if not isinstance(document.text, str):  # pyright: ignore[reportUnnecessaryIsInstance] (a wrong type at run time)
        return f"the text of the document {document.id!r} is a {type(document.text).__name__}; give a str"
    try:
        bare = msgspec.structs.replace(document, text="")  # half characters in a text become a `?` later
        msgspec.json.decode(msgspec.json.encode(bare), type=Document)
    except (TypeError, ValueError) as error:
        return (
            f"the document {document.id!r} cannot be stored ({error}): its id has to be whole text, "
            "its metadata plain values"
        )
    return "" if document.id else "a document needs an id: Document(id=..., text=...)"


def _flat(sources: Sequence[Source | Iterable[Source]]) -> Iterator[Source]:
    for source in sources:
        if isinstance(source, str | os.PathLike | Document):
            yield source
        elif isinstance(source, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance] (a wrong type at run time)
            yield from _flat(list(source))
        else:
            raise ConfigError(
                f"cannot add a {type(source).__name__}; give a path, folder, glob, URL or Document"
            )


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def _expand_path(text: str, root: Path, limits: IngestLimits, into: Expanded, seen: set[str]) -> None:
    if not text.strip():
        raise MediaNotFound('the path is empty; give "." for the folder we are in')
    path = Path(os.path.abspath(Path(text).expanduser()))
    if path.is_dir():
        origin = f"folder:{shown(path, root)}"
        _take_many(_walk(path), path, origin, root, limits, into, seen)
    elif path.exists():
        place = shown(path, root)
        if place not in seen:
            seen.add(place)
            into.items.append(Item(place, path.name, path=path))
    elif glob.has_magic(text):
        origin = f"glob:{shown(path, root)}"
        found = (Path(match) for match in sorted(glob.iglob(str(path), recursive=True)))
        files = [file for file in found if file.is_file()]
        if not files:
            into.failed.append((text, MediaNotFound(f"`{text}` matches no file; check the pattern")))
        _take_many(files, _fixed_part(path), origin, root, limits, into, seen)
    else:
        raise MediaNotFound(f"`{text}` does not exist; check the path")


def _take_many(
    files: Iterable[Path],
    base: Path,
    origin: str,
    root: Path,
    limits: IngestLimits,
    into: Expanded,
    seen: set[str],
) -> None:
    into.origins.append(origin)
    for number, file in enumerate(files):
        if number >= limits.files:
            raise MediaTooLarge(f"`{base}` has more than {limits.files:,} files; add parts of it")
        place = shown(file, root)
        if place in seen:
            continue
        seen.add(place)
        if media_type_of(file.name) is None:
            into.skipped.append(place)
        else:
            into.items.append(Item(place, file.relative_to(base).as_posix(), origin, path=file))


def _walk(folder: Path) -> Iterator[Path]:
    """The files below `folder` in a steady order, without hidden ones."""
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield Path(here) / name


def _fixed_part(pattern: Path) -> Path:
    parts: list[str] = []
    for part in pattern.parts[:-1]:
        if glob.has_magic(part):
            break
        parts.append(part)
    return Path(*parts)


def matching(manifest: Manifest, text: str, root: Path) -> list[str]:
    """The ids of the documents that `text` names: an id, a path, a URL, a folder or a glob."""
    if manifest.known(text):
        return [text]
    place = shown(Path(os.path.abspath(Path(text).expanduser())), root)
    for source in (text, place):
        key = manifest.id_of_source(source) if source else None
        if key:
            return [key]
    return [key for kind in ("folder", "glob") for key, _ in manifest.from_origin(f"{kind}:{place}")]


def folders_of(given: Sequence[str | os.PathLike[str]], root: Path) -> list[str]:
    """The folders as sources name them; raises MediaNotFound for what is no folder."""
    names: list[str] = []
    for each in given:
        place = Path(os.path.abspath(Path(each).expanduser()))
        if not place.is_dir():
            raise MediaNotFound(
                f"`{os.fspath(each)}` is not a folder, and nothing was changed; to take out what came from "
                "there, remove it"
            )
        name = shown(place, root)
        names.append("" if name == "." else name)
    return names
