"""The one lock around PDFium, which must not be entered by two threads of a process. Knows no document."""

import threading

pdfium_lock = threading.Lock()
"""Held around every use of pypdfium2, by whichever room uses it."""
