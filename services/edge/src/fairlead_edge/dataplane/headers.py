"""What callers say of a single request in headers of ours. A value that cannot be meant is refused, never ignored."""

import math
from collections.abc import Mapping
from typing import Final

from fairlead_models.errors import InvalidRequest

FAILOVER: Final = "x-fairlead-failover"
TIMEOUT: Final = "x-fairlead-timeout-ms"
MAX_COST: Final = "x-fairlead-max-cost-usd"


def may_fail_over(headers: Mapping[str, str]) -> bool:
    """Whether the caller lets another target stand in. Raises InvalidRequest for a header that says neither."""
    value = headers.get(FAILOVER, "on").strip().lower()
    if value not in ("on", "off"):
        raise InvalidRequest(f"The header {FAILOVER} must be 'on' or 'off'.", FAILOVER)
    return value == "on"


def timeout_s(headers: Mapping[str, str]) -> float | None:
    """How long the whole request may take; None = as long as this edge allows. Raises InvalidRequest."""
    value = headers.get(TIMEOUT)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and 0 < len(value) < 10 and int(value)):
        raise InvalidRequest(
            f"The header {TIMEOUT} must be a whole number of milliseconds from 1 on.", TIMEOUT
        )
    return int(value) / 1000


def max_cost_usd(headers: Mapping[str, str]) -> float | None:
    """What the whole request may cost at most; None = anything. Raises InvalidRequest."""
    value = headers.get(MAX_COST)
    if value is None:
        return None
    try:
        limit = float(value)
    except ValueError:
        limit = math.nan
    if not (limit > 0 and math.isfinite(limit)):
        raise InvalidRequest(f"The header {MAX_COST} must be a number of US dollars above 0.", MAX_COST)
    return limit
