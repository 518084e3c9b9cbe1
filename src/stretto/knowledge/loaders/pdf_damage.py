"""What is wrong with a PDF's frame, and a new frame around what is left of it. Reads no page.

PDFium finds the objects of a broken file by itself, but gives up where the trailer that names their root is
gone: so one is written behind the file. Objects packed into streams stay lost.
"""

import re

_OBJECT = re.compile(rb"(?<![0-9])([0-9]{1,8}) 0 obj\b")
_CATALOG, _PAGE = re.compile(rb"/Type\s*/Catalog\b"), re.compile(rb"/Type\s*/Page\b")
_START = re.compile(rb"startxref\s+([0-9]{1,12})\s+%%EOF\s*$")
_MOST = 2_000
"""Bytes of an object that are looked at."""


def is_damaged(data: bytes) -> bool:
    """Whether the end of the file is missing, or does not point at a table of its objects."""
    found = _START.search(data[-1_100:])
    if found is None:
        return True
    place = data[int(found[1]) : int(found[1]) + 40].lstrip()
    return not (place.startswith(b"xref") or _OBJECT.match(place))


def mended(data: bytes) -> bytes:
    """The file with a trailer behind it, where its root, or at least a page, can be found; else as it is."""
    starts = [(int(found[1]), found.end()) for found in _OBJECT.finditer(data)]
    if not starts:
        return data
    last = max(number for number, _ in starts)
    heads = [(number, data[start : start + _MOST].partition(b"endobj")[0]) for number, start in starts]
    root = next((number for number, head in heads if _CATALOG.search(head)), 0)
    pages = [number for number, head in heads if _PAGE.search(head)]
    made = b"\nendobj\n"
    if not root:
        if not pages:
            return data
        pages = list(dict.fromkeys(pages))
        kids = b" ".join(b"%d 0 R" % number for number in pages)
        made += b"%d 0 obj\n<< /Type /Pages /Kids [%s] /Count %d >>\nendobj\n" % (last + 1, kids, len(pages))
        made += b"%d 0 obj\n<< /Type /Catalog /Pages %d 0 R >>\nendobj\n" % (last + 2, last + 1)
        root, last = last + 2, last + 2
    return data + made + b"trailer\n<< /Size %d /Root %d 0 R >>\nstartxref\n0\n%%%%EOF\n" % (last + 1, root)
