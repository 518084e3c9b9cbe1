"""How many pages a PDF has. Reads no text: that is `knowledge`."""

from typing import Any

import pypdfium2  # pyright: ignore[reportMissingTypeStubs]

from stretto._internal.pdfium import pdfium_lock
from stretto.errors import DamagedMedia, MediaTooLarge, UnsupportedMedia
from stretto.media.limits import DEFAULT_LIMITS, MediaLimits


def count_pages(data: bytes, limits: MediaLimits = DEFAULT_LIMITS, *, label: str = "the PDF") -> int:
    """The number of pages. CPU-bound: call it off the event loop.

    Raises:
        UnsupportedMedia: It is locked by a password.
        DamagedMedia: It cannot be opened, or has no page that can.
        MediaTooLarge: It has more pages than allowed.
    """
    with pdfium_lock:
        try:
            document: Any = pypdfium2.PdfDocument(data)
        except pypdfium2.PdfiumError as error:
            if "password" in str(error).lower():
                raise UnsupportedMedia(f"{label} is locked by a password; save it without one") from None
            raise DamagedMedia(f"{label} cannot be opened as a PDF; save it again") from None
        try:
            pages = len(document)
            if pages <= limits.pages:
                document[0].close()
        except (pypdfium2.PdfiumError, IndexError):
            raise DamagedMedia(f"{label} is a PDF without a page that can be opened") from None
        finally:
            document.close()
    if pages > limits.pages:
        raise MediaTooLarge(f"{label} has {pages} pages; allowed are {limits.pages}")
    return pages
