"""The state of one provider: one machine, ``observe(record, observation, now, settings) -> record``.

Down: a run of failures that no success has interrupted for a moment, or most calls of a short window failed. Degraded: a
noticeable share failed, or the vendor's status page says that something is broken. Back to healthy: a run of successes
that no failure has interrupted for a moment, and no bad window. The moments matter under traffic, where a run of three is
a matter of milliseconds and of chance. A rate limit says nothing about health, and a caller's mistake is no observation at
all. Flap damping: after several changes in a short time, good news must last longer.

What is counted (``counted``) and what is decided (``judged``) are apart, so that a replica that only stands by can count.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple, Self

from fairlead_common.events.health import Status
from pydantic import BaseModel, ConfigDict, Field, model_validator

from fairlead_health.domain.status_page import Page

KEPT_S = 300.0
CHANGES_KEPT = 8
FAILED_KEPT = 3
"""Of each source."""
MAX_PATIENCE = 32
PAGE_VALID_S = 600.0
"""What a status page said counts no longer than this: it must be read again."""


class StatusSettings(BaseModel):
    """Thresholds. Times in seconds, shares 0 to 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    failures_to_down: int = Field(default=3, ge=1, le=100)
    """In a row (Gatus: 3)."""
    failing_s: float = Field(default=0.5, ge=0, le=60)
    """A run of failures decides once no success was seen for this long."""
    successes_to_healthy: int = Field(default=2, ge=1, le=100)
    """In a row (Gatus: 2)."""
    well_s: float = Field(default=1.0, ge=0, le=600)
    """A run of successes decides once no failure was seen for this long."""
    window_s: float = Field(default=30.0, ge=5, le=KEPT_S)
    min_calls: int = Field(default=10, ge=1, le=100_000)
    """Fewer calls in the window decide nothing by their share."""
    min_failures: int = Field(default=3, ge=1, le=100_000)
    """Nor do fewer failures."""
    down_share: float = Field(default=0.5, gt=0, le=1)
    degraded_share: float = Field(default=0.1, gt=0, le=1)
    recovered_share: float = Field(default=0.05, ge=0, le=1)
    """A degraded provider stays so until fewer calls than this share fail."""
    flap_window_s: float = Field(default=900.0, gt=0, le=86_400)
    flap_changes: int = Field(default=4, ge=1, le=CHANGES_KEPT)
    """From this many changes in the flap window on, good news must last twice as long for each further change."""

    @model_validator(mode="after")
    def _can_change_its_mind(self) -> Self:
        if not 0 < self.recovered_share <= self.degraded_share <= self.down_share:
            raise ValueError(
                "expected 0 < recovered_share <= degraded_share <= down_share, found"
                f" {self.recovered_share:g}, {self.degraded_share:g}, {self.down_share:g}"
            )
        return self


@dataclass(frozen=True, slots=True)
class Second:
    """Calls that ended in one second."""

    at: int
    calls: int = 0
    failures: int = 0
    latency_sum_ms: float = 0.0
    latencies: int = 0


class Seen(NamedTuple):
    """How a call ended, and when (Unix seconds)."""

    at: float
    detail: str
    ref: str


class Failed(NamedTuple):
    """A call or probe that failed: what people can look up."""

    call_id: str
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """All that is known of one provider now. Times are Unix seconds."""

    provider: str
    status: Status = Status.UNKNOWN
    since: float = 0.0
    sequence: int = 0
    reason: str = "nothing was seen yet"
    failures_in_row: int = 0
    successes_in_row: int = 0
    last_success: float | None = None
    last_failure: float | None = None
    last_source: str = ""
    last_detail: str = ""
    failed: Mapping[str, tuple[Failed, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Source to the last of it that failed, oldest first."""
    last_check: float | None = None
    maintenance: bool = False
    changes: tuple[float, ...] = ()
    seconds: tuple[Second, ...] = ()
    last_of: Mapping[str, Seen] = field(default_factory=lambda: MappingProxyType({}))
    """The last call of each source."""
    page: Page | None = None
    """What the vendor's status page said last."""
    judged_from: float = 0.0
    """What failed before does not count in the shares: the provider has recovered from it since."""


@dataclass(frozen=True, slots=True)
class CallSeen:
    """A call or probe ended. ``ok`` None: it says nothing about health (a rate limit), only that somebody looked."""

    ok: bool | None
    source: str
    """active or passive."""
    detail: str = ""
    latency_ms: float | None = None
    ended_at: float | None = None
    """Unix seconds; None = now."""
    ref: str = ""
    """Id of the call or probe."""
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class MaintenanceSet:
    """Maintenance begins or ends."""

    on: bool
    reason: str


@dataclass(frozen=True, slots=True)
class PageRead:
    """The vendor's status page was read."""

    page: Page


@dataclass(frozen=True, slots=True)
class Unwatched:
    """Nobody has watched the provider since ``since`` (Unix seconds): what it was then says nothing about now."""

    since: float


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Observation = CallSeen | MaintenanceSet | PageRead | Unwatched | Tick


def observe(record: Record, observation: Observation, now: float, settings: StatusSettings) -> Record:
    """The record after ``observation``; ``sequence`` has grown when the status changed."""
    match observation:
        case CallSeen():
            return judged(counted(record, observation, now, settings), now, settings)
        case MaintenanceSet(on, reason):
            return record if on == record.maintenance else _maintained(record, on, reason, now)
        case PageRead(page):
            return judged(replace(record, page=page), now, settings)
        case Unwatched(since):
            if record.status in (Status.UNKNOWN, Status.MAINTENANCE):
                return record
            cleared = replace(record, failures_in_row=0, successes_in_row=0)
            return _changed(
                cleared, Status.UNKNOWN, "nobody has watched for a while", max(since, record.since)
            )
        case Tick():
            return judged(replace(record, seconds=_recent(record, now)), now, settings)


def window(record: Record, now: float, window_s: float) -> tuple[int, int, float | None]:
    """(calls, failures, mean latency in ms or None) of the last ``window_s`` seconds."""
    calls = failures = timed = 0
    sum_ms = 0.0
    for second in _since(record.seconds, now - window_s):
        calls += second.calls
        failures += second.failures
        timed += second.latencies
        sum_ms += second.latency_sum_ms
    return calls, failures, sum_ms / timed if timed else None


def counted(record: Record, seen: CallSeen, now: float, settings: StatusSettings) -> Record:
    """The record after a call was added to its runs and windows; its status is untouched.

    A call that ended before the window began is old news and changes nothing; one that ended before the last change of
    status counts in the windows, but not in the runs.
    """
    at = now if seen.ended_at is None else min(seen.ended_at, now)
    if at < now - settings.window_s:
        return record
    looked = replace(record, last_check=max(at, record.last_check or at))
    if seen.ok is None:
        return looked
    looked = replace(looked, seconds=_added(_recent(record, now), seen, int(at)))
    if at < record.since:
        return looked
    return replace(
        looked,
        failures_in_row=0 if seen.ok else record.failures_in_row + 1,
        successes_in_row=record.successes_in_row + 1 if seen.ok else 0,
        last_success=max(at, record.last_success or at) if seen.ok else record.last_success,
        last_failure=record.last_failure if seen.ok else max(at, record.last_failure or at),
        last_source=seen.source,
        last_detail=seen.detail,
        last_of={**record.last_of, seen.source: Seen(at, seen.detail, seen.ref)},
        failed=record.failed if seen.ok or not seen.ref else _with_failed(record.failed, seen),
    )


def _with_failed(
    failed: Mapping[str, tuple[Failed, ...]], seen: CallSeen
) -> Mapping[str, tuple[Failed, ...]]:
    before = failed.get(seen.source, ())
    return {**failed, seen.source: (*before, Failed(seen.ref, seen.trace_id))[-FAILED_KEPT:]}


def judged(record: Record, now: float, settings: StatusSettings) -> Record:
    """The record with the status that what was counted calls for at ``now``."""
    if record.maintenance:
        return record
    calls, failures, _ = window(record, now, min(settings.window_s, now - record.judged_from))
    enough = calls >= settings.min_calls and failures >= settings.min_failures
    share = failures / calls if enough else 0.0
    failed = f"{failures} of {calls} calls failed in {settings.window_s:g} s"
    failing = record.failures_in_row >= settings.failures_to_down
    if failing and _quiet_for(record.last_success, now, settings.failing_s):
        text = f"{record.failures_in_row} failures in a row ({record.last_source}: {record.last_detail})"
        return _to(record, Status.DOWN, text, now)
    if record.status is not Status.DOWN and share >= settings.down_share:
        return _to(record, Status.DOWN, failed, now)
    if record.status is not Status.DOWN and share >= settings.degraded_share:
        return record if failing else _to(record, Status.DEGRADED, failed, now)
    if record.status is Status.HEALTHY and record.page is not None and holds(record, now):
        return _to(record, Status.DEGRADED, f"its status page says: {record.page.description}", now)
    return _better(record, share, now, settings)


def holds(record: Record, now: float) -> bool:
    """Whether the vendor says itself that something is broken. That alone degrades a provider, and never more."""
    page = record.page
    return page is not None and page.is_broken and now - page.read_at < PAGE_VALID_S


def _better(record: Record, share: float, now: float, settings: StatusSettings) -> Record:
    """Good news: what may lead back to healthy."""
    patience = _patience(record, now, settings)
    text = f"{record.successes_in_row} successes in a row"
    lasts = record.successes_in_row >= settings.successes_to_healthy * patience
    match record.status:
        case Status.UNKNOWN if record.successes_in_row:
            return _to(record, Status.HEALTHY, "it answers", now)
        case Status.DOWN if lasts and _quiet_for(record.last_failure, now, settings.well_s * patience):
            return replace(_to(record, Status.HEALTHY, text, now), judged_from=now)
        case Status.DEGRADED if lasts and share < settings.recovered_share and not holds(record, now):
            enough = now - record.since >= settings.well_s * patience
            return _to(record, Status.HEALTHY, text, now) if enough else record
    return record


def seeded(record: Record, earlier: tuple[Second, ...]) -> Record:
    """With counts of the time before anything was heard here: they show in the figures."""
    first = record.seconds[0].at if record.seconds else None
    kept = tuple(second for second in earlier if first is None or second.at < first)
    return replace(record, seconds=(*kept, *record.seconds))


def resumed(
    record: Record,
    status: Status,
    since: float,
    sequence: int,
    reason: str,
    last_check: float | None,
    changes: tuple[float, ...] = (),
) -> Record:
    """What was counted on stand-by, with the status that others have decided; what is older than it decides nothing."""
    failing = record.last_failure is not None and record.last_failure > since
    answering = record.last_success is not None and record.last_success > since
    return replace(
        record,
        status=status,
        since=since,
        sequence=sequence,
        reason=reason,
        maintenance=status is Status.MAINTENANCE,
        last_check=max(filter(None, (record.last_check, last_check)), default=None),
        changes=changes[-CHANGES_KEPT:],
        failures_in_row=record.failures_in_row if failing else 0,
        successes_in_row=record.successes_in_row if answering else 0,
        judged_from=since if status is Status.HEALTHY else record.judged_from,
    )


def flapping(record: Record, now: float, settings: StatusSettings) -> bool:
    """True while good news must last longer because the status has changed so often."""
    return _patience(record, now, settings) > 1


def _quiet_for(last: float | None, now: float, length_s: float) -> bool:
    return last is None or now - last >= length_s


def _since(seconds: tuple[Second, ...], start: float) -> Iterable[Second]:
    for second in reversed(seconds):
        if second.at <= start:
            return
        yield second


def _recent(record: Record, now: float) -> tuple[Second, ...]:
    """Cut once a tenth is too old, so that not every call copies."""
    if not record.seconds or record.seconds[0].at > now - KEPT_S * 1.1:
        return record.seconds
    return tuple(second for second in record.seconds if second.at > now - KEPT_S)


def _added(seconds: tuple[Second, ...], seen: CallSeen, at: int) -> tuple[Second, ...]:
    """Frames of several edges come a little out of order; a late call counts in the newest second."""
    last = seconds[-1] if seconds and seconds[-1].at >= at else None
    before = last or Second(at)
    timed = bool(seen.ok) and seen.latency_ms is not None
    second = Second(
        before.at,
        before.calls + 1,
        before.failures + (not seen.ok),
        before.latency_sum_ms + (seen.latency_ms or 0.0) * timed,
        before.latencies + timed,
    )
    return (*(seconds[:-1] if last else seconds), second)


def _maintained(record: Record, on: bool, reason: str, now: float) -> Record:
    cleared = replace(
        record, maintenance=on, failures_in_row=0, successes_in_row=0, seconds=(), judged_from=now, changes=()
    )
    return _changed(cleared, Status.MAINTENANCE if on else Status.UNKNOWN, reason, now)


def _patience(record: Record, now: float, settings: StatusSettings) -> int:
    recent = sum(changed > now - settings.flap_window_s for changed in record.changes)
    return min(MAX_PATIENCE, 1 << max(0, recent - settings.flap_changes + 1))


def _to(record: Record, status: Status, reason: str, now: float) -> Record:
    if record.status is status:
        return record
    return _changed(replace(record, changes=(*record.changes, now)[-CHANGES_KEPT:]), status, reason, now)


def _changed(record: Record, status: Status, reason: str, at: float) -> Record:
    return replace(record, status=status, since=at, sequence=record.sequence + 1, reason=reason)
