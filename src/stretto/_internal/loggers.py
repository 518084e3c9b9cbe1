"""`logger`: where our loggers come from. Sets no level; a program that set no logging up prints nothing.

Without the NullHandler, Python itself would write warnings bare to stderr (its handler of last resort).
"""

import logging

logging.getLogger("stretto").addHandler(logging.NullHandler())


def logger(name: str) -> logging.Logger:
    """The logger `name`, which is below `stretto`."""
    return logging.getLogger(name)
