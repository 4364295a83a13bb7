"""What providers last said of how much of their rate limits is left, per target, until it is full again."""

from collections import OrderedDict
from typing import Final

from fairlead_common.decisions.targets import Target
from fairlead_models.rate_limits import RateLimits

MAX_TARGETS: Final = 4096
DEFAULT_S: Final = 5.0
"""How long a figure is believed when the provider does not say when its limit is full again."""
LONGEST_S: Final = 60.0
"""And at most: calls of other processes change it as well."""


class Headroom:
    """Shares that are left, 0 to 1."""

    def __init__(self) -> None:
        self._known: OrderedDict[Target, tuple[float, float]] = OrderedDict()
        """target to (share, Unix time until which it is believed)."""

    def note(self, target: Target, limits: RateLimits, now: float) -> None:
        """An answer of ``target`` told its limits."""
        if not limits.known:
            return
        requests = _share(limits.remaining_requests, limits.limit_requests)
        tokens = _share(limits.remaining_tokens, limits.limit_tokens)
        share, reset_s = min((requests, limits.reset_requests_s), (tokens, limits.reset_tokens_s), key=_first)
        lasts_s = min(DEFAULT_S if reset_s is None else reset_s, LONGEST_S)
        self._known[target] = (share, now + lasts_s)
        self._known.move_to_end(target)
        if len(self._known) > MAX_TARGETS:
            self._known.popitem(last=False)

    def shares(self, now: float) -> dict[Target, float]:
        """What is believed now."""
        return {target: share for target, (share, until) in self._known.items() if until > now}


def _first(pair: tuple[float, float | None]) -> float:
    return pair[0]


def _share(remaining: int | None, limit: int | None) -> float:
    """Without a limit, anything left counts as all of it."""
    if remaining is None:
        return 1.0
    if limit is None or limit <= 0:
        return 1.0 if remaining > 0 else 0.0
    return min(1.0, remaining / limit)
