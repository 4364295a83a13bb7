"""The ways a simulated provider can fail, switched on and off at run time."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

KINDS = {
    "refuse": "connections are refused",
    "down": "connections are accepted and closed without an answer",
    "auth": "401 in the vendor's form",
    "bad_key": "the vendor's answer to a key it does not know (Google: 400, else 401)",
    "forbidden": "403 in the vendor's form",
    "error_500": "500 in the vendor's form",
    "timeout": "504 in the vendor's form",
    "rate_limited": "429 with Retry-After in the vendor's form",
    "slow_down": "429 because the rate rose too fast, in the vendor's form",
    "quota_exhausted": "out of credit, in the vendor's form",
    "spend_limit": "429 of a limit that no waiting lifts, without Retry-After",
    "overloaded": "529 (Anthropic) or 503 in the vendor's form",
    "capacity": "429 because the model has no capacity (Mistral 3505), elsewhere as overloaded",
    "too_large": "413 in the vendor's form (Google: 400)",
    "unavailable": "503 from a proxy, without the vendor's form",
    "bad_gateway": "502 from a proxy, an HTML page",
    "error_in_200": "an error object with status 200, as aggregators send it",
    "malformed": "200 with broken JSON",
    "garbage": "200 with bytes that are no text",
    "empty": "200 with an empty body, or a stream that ends before its first event",
    "oversized": "200 with a body, or one event of a stream, of size_mb (16) megabytes",
    "hollow": "200 with an empty JSON object, or a stream with such an event after after_chunks (3)",
    "wrong_types": "every text a number, every number a text, every list an object (in a stream after after_chunks)",
    "invalid_utf8": "bytes inside a text that are not UTF-8 (in a stream after after_chunks)",
    "drift": "fields and event types that nobody knows, beside a good answer",
    "wrong_content_type": "200 with an HTML page",
    "slow_first_token": "the first token takes delay_s (5) longer",
    "brownout": "everything takes factor (10) times as long",
    "slow_drip": "the answer comes in pieces of chunk_bytes (16) every interval_s (0.02)",
    "comments": "comments between the events of a stream, blank lines before a whole answer, as gateways send them",
    "stall": "a stream stops after after_chunks (3) and stays open",
    "cut": "a stream's connection is cut after after_chunks (3)",
    "truncate": "a stream ends early as if it were complete, without the protocol's end",
    "stream_error": "an error event in the stream after after_chunks (3)",
}
ANSWERED = (
    "auth",
    "error_500",
    "rate_limited",
    "quota_exhausted",
    "overloaded",
    "bad_key",
    "forbidden",
    "timeout",
    "slow_down",
    "spend_limit",
    "capacity",
    "too_large",
)
"""Kinds that are an error answer in the vendor's form."""

FIELDS: dict[str, type] = {
    "for_s": float,
    "probability": float,
    "retry_after_s": float,
    "delay_s": float,
    "factor": float,
    "after_chunks": int,
    "interval_s": float,
    "chunk_bytes": int,
    "size_mb": float,
    "models": list,
}


class FaultError(ValueError):
    """A fault that cannot be switched on; the message says what is known."""


@dataclass
class Fault:
    """One fault that is on. ``until`` is on the event loop's clock; None = until it is cleared."""

    kind: str
    until: float | None = None
    probability: float = 1.0
    retry_after_s: float | None = 1.0
    delay_s: float = 5.0
    factor: float = 10.0
    after_chunks: int = 3
    interval_s: float = 0.02
    chunk_bytes: int = 16
    size_mb: float = 16.0
    models: list[str] = field(default_factory=list)


def canonical(kind: str) -> str:
    """``kind`` with underscores. Raises FaultError for an unknown one."""
    found = kind.replace("-", "_")
    if found not in KINDS:
        raise FaultError(f"unknown fault '{kind}'; known are {', '.join(KINDS)}")
    return found


class Faults:
    """All faults of one simulator."""

    def __init__(self) -> None:
        self._on: dict[str, Fault] = {}

    def switch_on(self, kind: str, options: dict[str, Any], now: float) -> Fault:
        """Switch ``kind`` on. Raises FaultError for an unknown kind, option or value."""
        kind = canonical(kind)
        for name, value in options.items():
            wanted = FIELDS.get(name)
            if wanted is None:
                raise FaultError(f"unknown option '{name}'; known are {', '.join(FIELDS)}")
            number = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
            good = (
                isinstance(value, list)
                if wanted is list
                else number or (name == "retry_after_s" and value is None)
            )
            if not good:
                raise FaultError(
                    f"'{name}' must be {'a list' if wanted is list else 'a number of at least 0'}"
                )
        values = dict(options)
        for_s = values.pop("for_s", None)
        fault = Fault(kind, None if for_s is None else now + for_s, **values)
        self._on[kind] = fault
        return fault

    def clear(self, kind: str | None = None) -> None:
        """Switch one fault off, or all."""
        if kind is None:
            self._on.clear()
        else:
            self._on.pop(canonical(kind), None)

    def active(
        self, kind: str, now: float, model: str | None = None, draw: Callable[[], float] | None = None
    ) -> Fault | None:
        """The fault, if it is on for this model and this draw (0 to 1; a probability below 1 needs one)."""
        fault = self._on.get(kind)
        if fault is None:
            return None
        if fault.until is not None and now >= fault.until:
            del self._on[kind]
            return None
        if fault.models and model not in fault.models:
            return None
        if fault.probability < 1 and draw is not None and draw() >= fault.probability:
            return None
        return fault

    def listed(self, now: float) -> dict[str, Any]:
        """What is on, with the seconds left."""
        found = {}
        for kind in tuple(self._on):
            if (fault := self.active(kind, now)) is not None:
                body = asdict(fault)
                until = body.pop("until")
                found[kind] = {**body, "seconds_left": None if until is None else round(until - now, 3)}
        return found
