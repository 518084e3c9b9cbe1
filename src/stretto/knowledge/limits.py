"""How much one document may cost before it is refused. Knows no format."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IngestLimits:
    """Bounds on one document; over them it is reported as failed with MediaTooLarge."""

    bytes: int = 64_000_000
    """Size of the file as it is stored."""
    characters: int = 8_000_000
    """Length of the text that came out of it."""
    pages: int = 1_000
    """Pages of a PDF."""
    ocr_pages: int = 100
    """Pages of a PDF that have no text and are read by OCR."""
    pixels: int = 40_000_000
    """Pixels of a picture, or of a rendered page."""
    seconds: float = 60.0
    """How long reading it may take; each page that is read by OCR has as long again."""
    memory: int = 2_000_000_000
    """Bytes of address space of the process that reads it, where the system can limit that."""
    entries: int = 2_000
    """Members of an archive, or parts of a mail."""
    expanded: int = 256_000_000
    """Bytes that all members of an archive may unpack to, those of archives inside it included."""
    ratio: int = 200
    """How many times its packed size a member of an archive may unpack to, from 10 MB on."""
    depth: int = 3
    """Archives and mails inside each other."""
    files: int = 100_000
    """Files that one folder or glob may bring."""
    allow: tuple[str, ...] = ()
    """Hosts of URLs that may be reached although their address is private."""
