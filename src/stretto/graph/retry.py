"""`Retry`: when a node is tried again. Model errors are the pool's business and are never retried here."""

import asyncio
from dataclasses import dataclass

from stretto.errors import ConfigError, GraphError, LimitReached, MissingExtra, ModelError

NEVER: tuple[type[BaseException], ...] = (
    ModelError,  # the pool has the one retry loop for models
    LimitReached,
    GraphError,
    ConfigError,
    MissingExtra,
    TypeError,
    AttributeError,
    NameError,
)
"""Errors that a second attempt cannot cure, or that another loop already retried."""


@dataclass(frozen=True)
class Retry:
    """How often a node is tried."""

    attempts: int = 2
    """All attempts, the first one included."""
    on: tuple[type[Exception], ...] = (Exception,)
    """Errors that are worth another attempt."""
    delay: float = 0.2
    """Seconds before the second attempt; doubled before each further one."""

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.delay < 0:
            raise GraphError(
                f"`Retry` was given attempts={self.attempts}, delay={self.delay}; they start at 1 and at 0"
            )

    async def wait(self, error: Exception, attempt: int) -> bool:
        """True, after the delay, when the attempt after `attempt` (from 1) may be made."""
        if attempt >= self.attempts or isinstance(error, NEVER) or not isinstance(error, self.on):
            return False
        await asyncio.sleep(self.delay * 2 ** (attempt - 1))
        return True


ONCE = Retry(attempts=1)
