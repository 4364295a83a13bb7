"""The state of one provider: one machine, ``observe(record, observation, now, settings) -> record``.

Down: a run of failures, or most calls of a short window failed. Degraded: a noticeable share failed. Back to healthy:
a run of successes, and no bad window. A rate limit says nothing about health, and neither does a caller's mistake;
observations of those kinds are not made. Flap damping: after several changes in a short time, good news must last longer.
"""

from dataclasses import dataclass, field, replace

from fairlead_common.events.health import Status


@dataclass(frozen=True, slots=True)
class StatusSettings:
    """Thresholds. Times in seconds, shares 0 to 1."""

    failures_to_down: int = 3
    """In a row (Gatus: 3)."""
    successes_to_healthy: int = 2
    """In a row (Gatus: 2)."""
    window_s: float = 30.0
    min_calls: int = 10
    """Fewer calls in the window decide nothing by their share."""
    down_share: float = 0.5
    degraded_share: float = 0.1
    flap_window_s: float = 300.0
    flap_changes: int = 4
    """From this many changes in the flap window on, twice as many successes are wanted for each further change."""


@dataclass(frozen=True, slots=True)
class Second:
    """Calls that ended in one second."""

    at: int
    calls: int = 0
    failures: int = 0
    latency_sum_ms: float = 0.0
    latencies: int = 0


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
    last_source: str = ""
    last_detail: str = ""
    last_check: float | None = None
    maintenance: bool = False
    changes: tuple[float, ...] = ()
    seconds: tuple[Second, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class CallSeen:
    """A call or probe ended, well or through the provider's fault."""

    ok: bool
    source: str
    """active or passive."""
    detail: str = ""
    latency_ms: float | None = None


@dataclass(frozen=True, slots=True)
class MaintenanceSet:
    """Maintenance begins or ends."""

    on: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Observation = CallSeen | MaintenanceSet | Tick


def observe(record: Record, observation: Observation, now: float, settings: StatusSettings) -> Record:
    """The record after ``observation``; ``sequence`` has grown when the status changed."""
    match observation:
        case CallSeen():
            return _judged(_counted(record, observation, now, settings), now, settings)
        case MaintenanceSet(on, reason):
            if on == record.maintenance:
                return record
            status = Status.MAINTENANCE if on else Status.UNKNOWN
            cleared = replace(record, maintenance=on, failures_in_row=0, successes_in_row=0, seconds=())
            return _changed(cleared, status, reason, now)
        case Tick():
            return _judged(replace(record, seconds=_recent(record, now, settings)), now, settings)


def window(record: Record, now: float, window_s: float) -> tuple[int, int, float | None]:
    """(calls, failures, mean latency in ms or None) of the last ``window_s`` seconds."""
    recent = [second for second in record.seconds if second.at > now - window_s]
    timed = sum(second.latencies for second in recent)
    mean = sum(second.latency_sum_ms for second in recent) / timed if timed else None
    return sum(second.calls for second in recent), sum(second.failures for second in recent), mean


KEPT_S = 300.0


def _recent(record: Record, now: float, settings: StatusSettings) -> tuple[Second, ...]:
    if not record.seconds or record.seconds[0].at > now - KEPT_S - settings.window_s:
        return record.seconds
    return tuple(second for second in record.seconds if second.at > now - KEPT_S)


def _counted(record: Record, seen: CallSeen, now: float, settings: StatusSettings) -> Record:
    at = int(now)
    seconds = _recent(record, now, settings)
    last = seconds[-1] if seconds and seconds[-1].at == at else None
    before = last or Second(at)
    timed = seen.ok and seen.latency_ms is not None
    second = Second(
        at,
        before.calls + 1,
        before.failures + (not seen.ok),
        before.latency_sum_ms + (seen.latency_ms or 0.0) * timed,
        before.latencies + timed,
    )
    return replace(
        record,
        failures_in_row=0 if seen.ok else record.failures_in_row + 1,
        successes_in_row=record.successes_in_row + 1 if seen.ok else 0,
        last_source=seen.source,
        last_detail=seen.detail,
        last_check=now,
        seconds=(*(seconds[:-1] if last else seconds), second),
    )


def _judged(record: Record, now: float, settings: StatusSettings) -> Record:
    if record.maintenance:
        return record
    calls, failures, _ = window(record, now, settings.window_s)
    share = failures / calls if calls >= settings.min_calls else 0.0
    if record.failures_in_row >= settings.failures_to_down:
        text = f"{record.failures_in_row} failures in a row ({record.last_source}: {record.last_detail})"
        return _to(record, Status.DOWN, text, now)
    if share >= settings.down_share and record.successes_in_row < settings.successes_to_healthy:
        return _to(record, Status.DOWN, f"{failures} of {calls} calls failed in {settings.window_s:g} s", now)
    if record.status is Status.UNKNOWN:
        return _to(record, Status.HEALTHY, "it answers", now) if record.successes_in_row else record
    wanted = settings.successes_to_healthy * _patience(record, now, settings)
    if record.status is Status.DOWN and record.successes_in_row < wanted:
        return record
    if share >= settings.degraded_share and record.status is not Status.DOWN:
        return _to(
            record, Status.DEGRADED, f"{failures} of {calls} calls failed in {settings.window_s:g} s", now
        )
    if record.successes_in_row >= wanted:
        return _to(record, Status.HEALTHY, f"{record.successes_in_row} successes in a row", now)
    return record


def _patience(record: Record, now: float, settings: StatusSettings) -> int:
    recent = sum(changed > now - settings.flap_window_s for changed in record.changes)
    return 2 ** max(0, min(4, recent - settings.flap_changes + 1))


def _to(record: Record, status: Status, reason: str, now: float) -> Record:
    return record if record.status is status else _changed(record, status, reason, now)


def _changed(record: Record, status: Status, reason: str, now: float) -> Record:
    changes = (*record.changes, now)[-8:]
    return replace(
        record, status=status, since=now, sequence=record.sequence + 1, reason=reason, changes=changes
    )
