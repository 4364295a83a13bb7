"""What a call has cost so far, held against what its caller wants to pay at most."""

from collections.abc import Callable
from typing import Any, Final

from fairlead_common.decisions.cost_limit import CostLimit
from fairlead_common.decisions.targets import Target
from fairlead_common.outcomes import ErrorClass

MAY_BILL: Final = frozenset(
    (
        ErrorClass.TIMEOUT_FIRST_TOKEN,
        ErrorClass.TIMEOUT_BETWEEN_TOKENS,
        ErrorClass.TIMEOUT_TOTAL,
        ErrorClass.TRUNCATED,
        ErrorClass.MALFORMED,
        ErrorClass.STREAM_ERROR,
    )
)
"""After these the provider may have made an answer, and bill it."""

PricesOf = Callable[[Target], tuple[float | None, float | None]]


class Spending:
    """Of one call.

    Args:
        attempts: those of the call so far, as they are recorded.
        prices_of: USD per estimated input token and per output token of a target; None = unknown.
    """

    def __init__(self, limit: CostLimit, attempts: list[dict[str, Any]], prices_of: PricesOf) -> None:
        self._limit = limit
        self._attempts = attempts
        self._prices_of = prices_of

    def why_not(self, target: Target) -> str | None:
        """Why a further attempt at ``target`` is beyond the limit, or None when it is within."""
        return self._limit.why_not(*self._prices_of(target), sum(map(self._spent_usd, self._attempts)))

    def _spent_usd(self, attempt: dict[str, Any]) -> float:
        """What is not known counts with the most it can be."""
        known, error = attempt.get("cost_usd"), attempt.get("error_class")
        if known is not None:
            return float(known)
        if error is not None and error not in MAY_BILL:
            return 0.0
        target = Target(attempt["provider"], attempt["model"])
        return self._limit.most_usd(*self._prices_of(target)) or 0.0
