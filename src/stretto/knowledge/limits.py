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
    files: int = 100_000
    """Files that one folder or glob may bring."""
    allow: tuple[str, ...] = ()
    """Hosts of URLs that may be reached although their address is private."""
