"""The XML inside office documents: parsed without entities and the network, also where it breaks off."""

import posixpath
from collections.abc import Callable, Iterator
from typing import Any

import lxml.etree  # pyright: ignore[reportMissingTypeStubs]

from stretto.errors import DamagedMedia, UnsupportedMedia
from stretto.knowledge.loaders.archive import Archive

_xml: Any = lxml.etree  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


def parsed(archive: Archive, part: str, name: str) -> Any:
    """The root of an XML part.

    Raises:
        DamagedMedia: The part is not there, or nothing of it can be read.
        UnsupportedMedia: It declares a document type.
    """
    content = archive.read(part)
    refuse_entities(content, name)
    parser = _xml.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=True
    )
    try:
        root = _xml.fromstring(content, parser)
    except (_xml.XMLSyntaxError, ValueError):
        root = None
    if root is None:
        raise DamagedMedia(f"`{name}` is damaged: `{part}` holds nothing that can be read")
    if len(parser.error_log):
        archive.warnings.append(f"`{part}` is damaged; what could be read of it is kept")
    return root


def refuse_entities(content: bytes, name: str) -> None:
    """Raises UnsupportedMedia for a part with a document type, which can hold entities that expand."""
    head = content[:65_536].replace(b"\x00", b"")  # UTF-16, too
    if b"<!DOCTYPE" in head or b"<!ENTITY" in head:
        raise UnsupportedMedia(f"`{name}` declares entities, which no office program writes; save it again")


def walk(root: Any, skipped: Callable[[Any], bool]) -> Iterator[Any]:
    """The elements below `root` in order, without what is `skipped` and all below that."""
    stack = [*reversed(root)]
    while stack:
        node = stack.pop()
        if not isinstance(node.tag, str) or skipped(node):
            continue
        yield node
        stack.extend(reversed(node))


def relations(archive: Archive, part: str, name: str) -> dict[str, tuple[str, str]]:
    """What a part points at inside the archive: id to (kind, member)."""
    folder, file = posixpath.split(part)
    place = f"{folder}/_rels/{file}.rels"
    if place not in archive.members:
        return {}
    found: dict[str, tuple[str, str]] = {}
    for relation in parsed(archive, place, name):
        target = relation.get("Target", "")
        if relation.get("TargetMode") != "External" and target:
            member = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
            found[relation.get("Id", "")] = (relation.get("Type", "").rpartition("/")[2], member)
    return found


def properties(archive: Archive, name: str) -> str:
    """The title that the document's properties name; empty where there is none."""
    if "docProps/core.xml" not in archive.members:
        return ""
    try:
        root = parsed(archive, "docProps/core.xml", name)
    except DamagedMedia:
        return ""
    title = root.findtext("{http://purl.org/dc/elements/1.1/}title") or ""
    return " ".join(title.split())[:300]
