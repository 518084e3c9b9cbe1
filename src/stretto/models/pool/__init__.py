"""Many models play as one.

pool       Pool and its members
named      the pools of stretto.yaml, opened by name
"""

from stretto.models.pool.pool import Member, Pool, RetryBudget

__all__ = ["Member", "Pool", "RetryBudget"]
