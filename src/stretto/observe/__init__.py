"""What a run tells the outside world about itself, beside its answer.

log     a run's events as log records of `stretto.run`, secrets masked
"""

from stretto.observe.log import logged

__all__ = ["logged"]
