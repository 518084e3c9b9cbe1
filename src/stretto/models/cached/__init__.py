"""Answers that are asked for again, given at once.

model.py   Cached, a ChatModel around another       key.py      when two calls are the same
stores.py  where answers are kept                   flight.py   one call that several follow
"""

from stretto.models.cached.model import Cached
from stretto.models.cached.stores import AnswerStore, MemoryStore, SqliteStore

__all__ = ["AnswerStore", "Cached", "MemoryStore", "SqliteStore"]
