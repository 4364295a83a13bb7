"""Whether the only target there is gets a second try, and after how long. Others never wait: the next target is at hand."""

from typing import Final

from fairlead_common.outcomes import ErrorClass
from fairlead_models.errors import ProviderError

PASSING: Final = frozenset(
    (
        ErrorClass.CONNECT,
        ErrorClass.SERVER_ERROR,
        ErrorClass.OVERLOADED,
        ErrorClass.RATE_LIMITED,
        ErrorClass.TRUNCATED,
        ErrorClass.STREAM_ERROR,
    )
)
"""Failures that may be over in a moment; a time-out has had its moment."""
SPREAD_S: Final = 0.5
LONGEST_S: Final = 2.0
"""A target that asks for more patience than this is not waited for: the caller can do that himself."""


def pause_s(error: ProviderError, draw: float) -> float | None:
    """How long to wait before the same target is tried again, with full jitter; None = it is not.

    Args:
        draw: uniform in [0, 1).
    """
    asked_for = error.retry_after_s
    if error.error_class not in PASSING or (asked_for or 0.0) > LONGEST_S:
        return None
    if asked_for is None and error.error_class is ErrorClass.RATE_LIMITED:
        return None
    return (asked_for or 0.0) + draw * SPREAD_S
