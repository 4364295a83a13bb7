"""From a finished call to the rows that are kept of it, and to the sums that its attempts add to.

Whatever callers and providers can put into a call must not be able to stop the rows of others: texts are cut and freed
of NUL, numbers that no column can hold become unknown, and a call that cannot be kept at all is named, not raised.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from re import compile as pattern
from uuid import UUID

from fairlead_common.events.calls import Attempt, Call, Decision

from fairlead_comparison.domain.sums import SumKey, Sums

CALL_COLUMNS = (
    "call_id started_at kind workspace_id source api requested_model stream state status provider model rule"
    " table_version failover attempts duration_ms ttft_ms overhead_ms input_tokens output_tokens cached_input_tokens"
    " reasoning_tokens cost_usd error_code trace_id test_id decision"
).split()
ATTEMPT_COLUMNS = (
    "call_id attempt started_at kind provider model reason error_class status duration_ms ttft_ms input_tokens"
    " output_tokens cost_usd finish_reason provider_request_id"
).split()

MAX_TEXT = 200
"""Characters kept of a text that somebody else wrote; an index row has to hold two of them."""
MAX_DECISION = 20_000
"""Characters; ten candidates and ten exclusions take about 3,000."""
MAX_BIG = 2**63
MAX_SMALL = 2**31
MAX_OFFSET_MS = 86_400_000.0
AHEAD = timedelta(days=1)
"""A clock may be ahead by this much; a call that is further in the future has a broken one."""
PROVIDER = pattern(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Observation:
    """One call as rows: ``call`` in the order of CALL_COLUMNS, ``attempts`` in that of ATTEMPT_COLUMNS."""

    call_id: UUID
    started_at: datetime
    kind: str
    call: tuple[object, ...]
    attempts: tuple[tuple[object, ...], ...]
    outcomes: tuple[tuple[datetime, Attempt], ...]
    """When each attempt began, and how it ended."""
    workspace_id: int
    source: str
    cost_usd: float | None
    answered: bool
    """A provider has given an answer, or a part of one."""
    ended_at: datetime

    @property
    def day(self) -> date:
        """UTC day on which it began."""
        return self.started_at.astimezone(UTC).date()

    @property
    def days(self) -> set[datetime]:
        """Days (UTC midnights) whose partitions the rows belong to."""
        return {midnight(self.started_at), *(midnight(at) for at, _ in self.outcomes)}


@dataclass(frozen=True, slots=True)
class Unkeepable:
    """A call that no row can hold, and why."""

    call_id: str
    reason: str


def midnight(at: datetime) -> datetime:
    """Begin of the UTC day of ``at``."""
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def observe(call: Call, source: str, oldest: datetime, now: datetime) -> Observation | Unkeepable:
    """The rows of ``call``, which a frame of ``source`` reported.

    Args:
        oldest: begin of the first day that is kept; what is older is gone already and must not be counted again.
    """
    problem = _problem(call, oldest, now)
    if problem is not None:
        return Unkeepable(call.call_id[:MAX_TEXT], problem)
    call_id = UUID(call.call_id)
    starts = [call.started_at + timedelta(milliseconds=each.offset_ms) for each in call.attempts]
    return Observation(
        call_id,
        call.started_at,
        call.kind.value,
        _call_row(call, call_id, source),
        tuple(_attempt_row(call, call_id, i, at) for i, at in enumerate(starts)),
        tuple(zip(starts, call.attempts, strict=True)),
        workspace_id=call.workspace_id,
        source=text(source),
        cost_usd=_number(call.cost_usd),
        answered=call.provider is not None,
        ended_at=call.started_at + timedelta(milliseconds=call.duration_ms),
    )


def _problem(call: Call, oldest: datetime, now: datetime) -> str | None:
    try:
        UUID(call.call_id)
    except ValueError:
        return "call_id is not a UUID"
    if call.started_at < oldest:
        return f"started_at {call.started_at.isoformat()} is older than what is kept"
    if call.started_at > now + AHEAD:
        return f"started_at {call.started_at.isoformat()} is in the future"
    if not _is_time(call.duration_ms):
        return f"duration_ms {call.duration_ms} is no duration"
    for name in ("workspace_id", "status"):
        if _small(getattr(call, name)) is None:
            return f"{name} {getattr(call, name)} is out of range"
    for attempt in call.attempts:
        if not _is_time(attempt.duration_ms) or not _is_time(attempt.offset_ms):
            return f"an attempt has offset_ms {attempt.offset_ms} and duration_ms {attempt.duration_ms}"
        if not PROVIDER.fullmatch(attempt.provider):
            return f"an attempt names {attempt.provider[:MAX_TEXT]!r}, which cannot be a provider"
    return None


def _is_time(value: float) -> bool:
    return 0 <= value <= MAX_OFFSET_MS


def _call_row(call: Call, call_id: UUID, source: str) -> tuple[object, ...]:
    return (
        call_id,
        call.started_at,
        call.kind.value,
        call.workspace_id,
        text(source),
        text(call.api),
        text(call.requested_model),
        call.stream,
        call.state.value,
        call.status,
        _optional(call.provider),
        _optional(call.model),
        _optional(call.rule),
        _small(call.table_version),
        call.failover,
        len(call.attempts),
        call.duration_ms,
        _number(call.ttft_ms),
        _number(call.overhead_ms),
        _big(call.input_tokens),
        _big(call.output_tokens),
        _big(call.cached_input_tokens),
        _big(call.reasoning_tokens),
        _number(call.cost_usd),
        _optional(call.error_code),
        _optional(call.trace_id),
        _small(call.test_id),
        _decision(call.decision),
    )


def _decision(decision: Decision | None) -> str | None:
    """As JSON that Postgres can store; one that is longer than any edge makes it is not kept."""
    if decision is None:
        return None
    found = decision.model_dump_json(exclude_defaults=True).replace("\\u0000", "\\ufffd")
    return found if len(found) <= MAX_DECISION else None


def _attempt_row(call: Call, call_id: UUID, number: int, at: datetime) -> tuple[object, ...]:
    attempt = call.attempts[number]
    return (
        call_id,
        number,
        at,
        call.kind.value,
        attempt.provider,
        text(attempt.model),
        text(attempt.reason),
        None if attempt.error_class is None else attempt.error_class.value,
        _small(attempt.status),
        attempt.duration_ms,
        _number(attempt.ttft_ms),
        _big(attempt.input_tokens),
        _big(attempt.output_tokens),
        _number(attempt.cost_usd),
        _optional(attempt.finish_reason),
        _optional(attempt.provider_request_id),
    )


def sums_of(observations: Iterable[Observation]) -> dict[SumKey, Sums]:
    """What the attempts of these calls add to the rollups, by provider, model, kind and minute of the attempt."""
    found: dict[SumKey, Sums] = {}
    for each in observations:
        for at, attempt in each.outcomes:
            if not attempt.speaks_of_provider:
                continue
            minute = at.astimezone(UTC).replace(second=0, microsecond=0)
            key = SumKey(attempt.provider, text(attempt.model), each.kind, minute)
            sums = found.get(key)
            if sums is None:
                sums = found[key] = Sums()
            sums.observe(
                attempt.error_class,
                attempt.duration_ms,
                _number(attempt.ttft_ms),
                _big(attempt.output_tokens),
                _number(attempt.cost_usd),
            )
    return {key: sums for key, sums in found.items() if sums.attempts}


def by_hour(minutes: dict[SumKey, Sums]) -> dict[SumKey, Sums]:
    """The same sums by the hour."""
    found: dict[SumKey, Sums] = {}
    for key, sums in minutes.items():
        hour = key._replace(minute=key.minute.replace(minute=0))
        found.setdefault(hour, Sums()).add(sums)
    return found


def text(value: str, limit: int = MAX_TEXT) -> str:
    """``value`` as Postgres can store it: without NUL, cut to ``limit`` characters."""
    return value[:limit].replace("\0", "\ufffd")


def _optional(value: str | None) -> str | None:
    return None if value is None else text(value)


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) and value >= 0 else None


def _big(value: int | None) -> int | None:
    return value if value is not None and 0 <= value < MAX_BIG else None


def _small(value: int | None) -> int | None:
    return value if value is not None and 0 <= value < MAX_SMALL else None
