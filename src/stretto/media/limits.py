"""How much of which media is taken in. Numbers only."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MediaLimits:
    """What intake accepts; everything above is refused with `MediaTooLarge`."""

    bytes: int = 25_000_000
    """Of one part as it arrives."""
    pixels: int = 50_000_000
    """Width times height, checked before decoding. 48 megapixel phones pass; 50 million decode to 200 MB."""
    frames: int = 300
    """Of an animation or of a TIFF's pages; only the first is looked at."""
    pages: int = 500
    """Of a PDF."""
    seconds: float = 7200.0
    """Of a recording."""
    local_files: bool = True
    """Whether a source may be a path. Set it to False where messages come from strangers."""
    allow: tuple[str, ...] = ()
    """Hosts (`name` or `name:port`) that URLs may reach even at a private address."""
    redirects: int = 5
    """That a URL may go through; each is checked like the first."""
    fetch_seconds: float = 20.0
    """For one URL, redirects included."""


DEFAULT_LIMITS = MediaLimits()
