"""What attempts say of their targets."""

from typing import Any

import pytest
from fairlead_common.decisions.gate_records import CallSeen
from fairlead_common.events.calls import Attempt
from fairlead_common.outcomes import ErrorClass
from fairlead_failover.hearing import seen_of

ENDED = 1_000_000.0


def attempt(**values: Any) -> Attempt:
    return Attempt(provider="openai", model="m", offset_ms=0.0, duration_ms=50.0, **values)


@pytest.mark.parametrize(
    "attempt",
    [
        attempt(error_class=ErrorClass.BAD_REQUEST),
        attempt(error_class=ErrorClass.CALLER_GONE),
        attempt(error_class=ErrorClass.NOT_FOUND),
        attempt(error_class=ErrorClass.TIMEOUT_TOTAL, excused=True),
        attempt(error_class=ErrorClass.RATE_LIMITED, excused=True),
        attempt(excused=True),
    ],
)
def test_what_is_the_callers_doing_moves_no_gate(attempt: Attempt) -> None:
    assert seen_of(attempt, ENDED) is None


def test_failures_successes_and_limits_are_seen() -> None:
    assert seen_of(attempt(), ENDED) == CallSeen(True, ENDED)
    assert seen_of(attempt(error_class=ErrorClass.TIMEOUT_TOTAL), ENDED) == CallSeen(False, ENDED)
    limited = attempt(error_class=ErrorClass.RATE_LIMITED, retry_after_s=9.0)
    assert seen_of(limited, ENDED) == CallSeen(False, ENDED, ErrorClass.RATE_LIMITED, 9.0)
