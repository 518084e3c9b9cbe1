"""Sums over sliding windows that everyone who holds to one limit shares: rates of endpoints, budgets.

memory   MemoryCounters: of one process
sqlite   SqliteCounters: of all processes of a machine, in one file
place    default_path: where that file is when nobody says
window   the arithmetic both share
"""

from stretto.counters.memory import MemoryCounters
from stretto.counters.place import default_path
from stretto.counters.sqlite import SqliteCounters

__all__ = ["MemoryCounters", "SqliteCounters", "default_path"]
