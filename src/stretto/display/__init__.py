"""Plain data to text for terminals: nothing here imports a room.

marks.py   numbered citations in an answer
"""

from stretto.display.marks import with_marks

__all__ = ["with_marks"]
