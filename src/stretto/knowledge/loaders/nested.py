"""A file inside another: read by its own loader, below a heading with its name, set aside when it fails."""

from dataclasses import replace

from stretto.errors import DamagedMedia, MediaTooLarge, StrettoError, UnsupportedMedia
from stretto.knowledge.limits import IngestLimits
from stretto.knowledge.loaders.assembly import Assembly
from stretto.knowledge.loaders.registry import load


def load_nested(
    assembly: Assembly, name: str, data: bytes, media_type: str | None, limits: IngestLimits, *, level: int
) -> StrettoError | None:
    """Puts the file `name` into `assembly`, or notes why not and returns that.

    Raises:
        MediaTooLarge: The whole document has become too large by it.
    """
    room = limits.characters - len(assembly)
    if room < 1:
        raise MediaTooLarge(f"the files inside hold more than {limits.characters:,} characters of text")
    try:
        loaded = load(data, name, media_type, replace(limits, characters=room))
    except RecursionError:
        error: StrettoError = DamagedMedia(f"`{name}` nests too deep")
    except StrettoError as failed:
        error = failed
    except Exception as failed:  # a parser's own failure is this file's, and the others go on
        error = DamagedMedia(f"`{name}` cannot be read ({type(failed).__name__})")
    else:
        assembly.heading(name, level)
        assembly.include(loaded, level=level)
        return None
    kind = "not read" if isinstance(error, UnsupportedMedia) else "set aside"
    assembly.warn(f"{kind}: {error}")
    return error
