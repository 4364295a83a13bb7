"""What a provider says about how much of its rate limits is left, in the headers of every answer.

One table of header names for all vendors: names do not collide. A minus one (Azure's "not told") is unknown.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from fairlead_models.failures import unix_of

REMAINING_REQUESTS = (
    "x-ratelimit-remaining-requests",  # OpenAI, Azure, Groq, xAI, Fireworks
    "anthropic-ratelimit-requests-remaining",
    "x-ratelimit-remaining-req-minute",  # Mistral
    "x-trial-endpoint-call-remaining",  # Cohere
    "x-ratelimit-remaining",  # Together, OpenRouter
)
REMAINING_TOKENS = (
    "x-ratelimit-remaining-tokens",
    "anthropic-ratelimit-tokens-remaining",
    "x-ratelimit-remaining-tokens-minute",
    "x-tokenlimit-remaining",
)
LIMIT_REQUESTS = (
    "x-ratelimit-limit-requests",
    "anthropic-ratelimit-requests-limit",
    "x-ratelimit-limit-req-minute",
    "x-trial-endpoint-call-limit",
    "x-ratelimit-limit",
)
LIMIT_TOKENS = (
    "x-ratelimit-limit-tokens",
    "anthropic-ratelimit-tokens-limit",
    "x-ratelimit-limit-tokens-minute",
    "x-tokenlimit-limit",
)
RESET_REQUESTS = ("x-ratelimit-reset-requests", "anthropic-ratelimit-requests-reset", "x-ratelimit-reset")
RESET_TOKENS = ("x-ratelimit-reset-tokens", "anthropic-ratelimit-tokens-reset", "x-tokenlimit-reset")
BY_DIRECTION = ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-output-tokens-remaining")
RESETS_BY_DIRECTION = ("anthropic-ratelimit-input-tokens-reset", "anthropic-ratelimit-output-tokens-reset")
LIMITS_BY_DIRECTION = ("anthropic-ratelimit-input-tokens-limit", "anthropic-ratelimit-output-tokens-limit")

DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
UNITS = (86400.0, 3600.0, 60.0, 1.0, 0.001)
EPOCH_S = 1_000_000_000.0
"""A bare number above this is a time, not a duration; above a thousand times this, a time in milliseconds."""


@dataclass(frozen=True, slots=True)
class RateLimits:
    """The state of one (provider, key, model) as the provider sees it; None = not told."""

    remaining_requests: int | None = None
    remaining_tokens: int | None = None
    limit_requests: int | None = None
    limit_tokens: int | None = None
    reset_requests_s: float | None = None
    """Seconds until the requests are full again."""
    reset_tokens_s: float | None = None

    @property
    def known(self) -> bool:
        """The provider told how much is left."""
        return self.remaining_requests is not None or self.remaining_tokens is not None

    @property
    def exhausted(self) -> bool:
        """The next call would be refused."""
        return self.remaining_requests == 0 or self.remaining_tokens == 0


UNKNOWN = RateLimits()


def rate_limits(headers: Mapping[str, str], now_unix_s: float) -> RateLimits:
    """The rate limits that the answer's ``headers`` (names in lower case) tell.

    Args:
        now_unix_s: when the answer came; times in headers count from its ``date`` header where there is one.
    """
    if not any("ratelimit" in name or "call-remaining" in name for name in headers):
        return UNKNOWN
    now = unix_of(headers["date"]) if "date" in headers else None
    now = now_unix_s if now is None else now
    tokens = _count(headers, REMAINING_TOKENS)
    limit = _count(headers, LIMIT_TOKENS)
    reset = _reset(headers, RESET_TOKENS, now)
    if tokens is None:
        tokens = _least(_count(headers, (name,)) for name in BY_DIRECTION)
        limit = _least(_count(headers, (name,)) for name in LIMITS_BY_DIRECTION)
        resets = [_reset(headers, (name,), now) for name in RESETS_BY_DIRECTION]
        reset = max((each for each in resets if each is not None), default=None)
    return RateLimits(
        _count(headers, REMAINING_REQUESTS),
        tokens,
        _count(headers, LIMIT_REQUESTS),
        limit,
        _reset(headers, RESET_REQUESTS, now),
        reset,
    )


def _least(values: Iterable[int | None]) -> int | None:
    return min((each for each in values if each is not None), default=None)


def _count(headers: Mapping[str, str], names: tuple[str, ...]) -> int | None:
    for name in names:
        value = headers.get(name)
        if value is not None:
            try:
                found = int(float(value))
            except (ValueError, OverflowError):
                return None
            return found if found >= 0 else None
    return None


def _reset(headers: Mapping[str, str], names: tuple[str, ...], now: float) -> float | None:
    for name in names:
        value = headers.get(name)
        if value is not None:
            return seconds_until(value.strip(), now)
    return None


def seconds_until(value: str, now_unix_s: float) -> float | None:
    """Seconds until a reset given as ``6m0s``, ``120ms``, seconds, a time in RFC 3339, or seconds or ms since 1970."""
    try:
        plain = float(value)
    except ValueError:
        plain = None
    if plain is not None:
        if plain > EPOCH_S:
            plain = (plain / 1000 if plain > EPOCH_S * 1000 else plain) - now_unix_s
        return max(0.0, plain) if abs(plain) < EPOCH_S else None
    found = DURATION.fullmatch(value)
    if found is not None and any(found.groups()):
        return sum(float(n) * unit for n, unit in zip(found.groups(), UNITS, strict=True) if n is not None)
    try:
        return max(0.0, datetime.fromisoformat(value).timestamp() - now_unix_s)
    except (ValueError, OverflowError):
        return None
