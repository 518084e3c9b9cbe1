"""What a run may spend of money, tokens, calls and time. Knows no model, no node and no graph.

ledger     Ledger: what of each budget is reserved and spent during one run
lines      single limits, and what is said when one is used up
prices     Prices: what a call costs
estimate   how many tokens a call is likely to take, rather too many than too few
"""

from stretto.budgets.estimate import expected_input
from stretto.budgets.ledger import Ledger, Reservation, open_ledger
from stretto.budgets.prices import Prices

__all__ = ["Ledger", "Prices", "Reservation", "expected_input", "open_ledger"]
