"""Simulated days on a virtual clock: what the published uptime, the incidents and the alerts must be, worked out by hand."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from fairlead_common.events.alerts import AlertRaised
from fairlead_common.operations.alert_rules import WINDOWS_S
from fairlead_common.operations.health import Interval
from fairlead_health.domain.alerts import fingerprint
from fairlead_health.domain.figures import Count, Figures, Timing
from fairlead_health.domain.incidents import incidents
from fairlead_health.domain.raising import Surroundings, alerted
from fairlead_health.domain.status import (
    CallSeen,
    MaintenanceSet,
    Record,
    StatusSettings,
    Tick,
    Unwatched,
    counted,
)
from fairlead_health.domain.watch import Watch, observed, state_of
from fairlead_health.rules import built_in

RULES = StatusSettings()
MIDNIGHT = 1_790_000_000.0
MINUTE, HOUR = 60.0, 3600.0

AROUND = Surroundings(built_in(), watched_from=MIDNIGHT, probe_interval_s=60)

World = Callable[[float], bool | None]
"""Seconds since midnight to how a call ends then; None = there is no call."""


@dataclass
class Day:
    """One provider, watched by a probe every minute (every 2 s while unwell) and, when there is any, by traffic."""

    probe: World
    traffic: World = lambda at: None
    """Once a second, where it returns something."""
    watch: Watch = field(default_factory=lambda: Watch(Record("openai", since=MIDNIGHT)))
    around: Surroundings = field(default_factory=lambda: AROUND)
    states: list[tuple[float, str]] = field(default_factory=list)
    alerts: list[AlertRaised] = field(default_factory=list)
    ids: "itertools.count[int]" = field(default_factory=itertools.count)

    def run(self, start: float, end: float) -> "Day":
        """Let the time from ``start`` to ``end`` (seconds since midnight) pass."""
        next_probe = second = int(start)
        while second < end:
            if (ok := self.traffic(second)) is not None:
                self._see(ok, "passive", second)
            if second >= next_probe:
                self._see(self.probe(second), "active", second)
                unwell = self.watch.record.status in ("down", "degraded", "unknown")
                next_probe = second + (2 if unwell else 60)
            self.observe(Tick(), second)
            second += 1 if ok is not None else min(10, next_probe - second)
        return self

    def observe(self, observation: MaintenanceSet | Unwatched | Tick, second: float) -> None:
        """Something happens; alerts are judged after it."""
        before, now = self.watch.record, MIDNIGHT + second
        self.watch = observed(self.watch, observation, now, RULES)
        if self.watch.record.sequence != before.sequence:
            self.states.append((second, self.watch.record.status.value))
        self.watch, told = alerted(self.watch, now, RULES, self.around, lambda: f"id-{next(self.ids)}")
        self.alerts += told

    def _see(self, ok: bool | None, source: str, second: float) -> None:
        seen = CallSeen(ok, source, "simulated", 200.0)
        record = counted(self.watch.record, seen, MIDNIGHT + second, RULES)
        self.watch = replace(self.watch, record=record)

    def uptime(self, second: float) -> tuple[float | None, float | None]:
        """(uptime, coverage) in percent, as published at this time."""
        state = state_of(self.watch, MIDNIGHT + second)
        return state.uptime_percentage, state.coverage_percentage

    def told(self) -> list[tuple[str, str]]:
        """Names and statuses of the alerts in turn."""
        return [(alert.alertname, alert.status.value) for alert in self.alerts]


def during(*spans: tuple[float, float]) -> Callable[[float], bool]:
    """Whether a time lies in one of the spans (hours)."""
    return lambda second: any(start * HOUR <= second < end * HOUR for start, end in spans)


def test_a_quiet_day() -> None:
    day = Day(probe=lambda at: True).run(0, 24 * HOUR)
    assert day.states == [(0, "healthy")]
    assert day.told() == []
    assert day.uptime(24 * HOUR) == (100.0, 100.0)


def test_an_outage_of_90_minutes_found_by_probes() -> None:
    """The first two probes of the day are 2 s apart, so probes are due 2 s after each full minute. The outage begins at
    6:00:00: those of 6:00:02, 6:01:02 and 6:02:02 fail, down with the third. From then on every 2 s: the first good one
    is that of 7:30:00, and it is healthy with the second, 2 s later.
    """
    away = during((6, 7.5))
    day = Day(probe=lambda at: not away(at)).run(0, 24 * HOUR)
    (_, first), (down_at, second), (up_at, third) = day.states
    assert (first, second, third) == ("healthy", "down", "healthy")
    assert (down_at, up_at) == (6 * HOUR + 2 * MINUTE + 2, 7.5 * HOUR + 2)
    assert day.told() == [("down", "firing"), ("down", "resolved")]
    assert day.uptime(24 * HOUR)[0] == pytest.approx(100 * (1 - (1.5 * HOUR - 120) / (24 * HOUR)), abs=1e-4)
    assert day.alerts[1].starts_at == day.alerts[0].starts_at


def test_the_same_outage_under_traffic_is_found_in_seconds() -> None:
    away = during((6, 7.5))
    day = Day(probe=lambda at: not away(at), traffic=lambda at: not away(at)).run(5.5 * HOUR, 8 * HOUR)
    assert day.states[:2] == [(5.5 * HOUR, "healthy"), (6 * HOUR + 2, "down")]
    assert day.states[2][0] <= 7.5 * HOUR + 2
    assert day.told() == [("down", "firing"), ("down", "resolved")]


def test_a_brown_out_degrades_and_warns_and_is_over_when_it_is_over() -> None:
    """From 10:00 to 10:30 one call in five fails, one a second: never three in a row."""
    away = during((10, 10.5))
    day = Day(probe=lambda at: True, traffic=lambda at: not (away(at) and at % 5 == 0)).run(
        9.5 * HOUR, 11 * HOUR
    )
    assert [status for _, status in day.states] == ["healthy", "degraded", "healthy"]
    (_, _), (since, _), (until, _) = day.states
    assert 10 * HOUR < since < 10 * HOUR + 30
    assert 10.5 * HOUR < until < 10.5 * HOUR + 31
    assert day.uptime(11 * HOUR)[0] == 100.0
    assert day.told() == [
        ("degraded", "firing"),
        ("high_error_rate", "firing"),
        ("degraded", "resolved"),
        ("high_error_rate", "resolved"),
    ]


def test_a_flapping_provider_is_soon_left_down_instead_of_flapping_along() -> None:
    """Ten seconds up, ten seconds down, for an hour: 180 changes in the world."""
    flapping = during((8, 9))
    day = Day(
        probe=lambda at: not (flapping(at) and at % 20 < 10),
        traffic=lambda at: not (flapping(at) and at % 20 < 10),
    ).run(7 * HOUR, 10 * HOUR)
    assert len(day.states) < 40
    assert day.states[-1][1] == "healthy"
    assert any(alert.flap for alert in day.alerts)
    fired = [alert for alert in day.alerts if alert.alertname == "down" and alert.status == "firing"]
    resolved = [alert for alert in day.alerts if alert.alertname == "down" and alert.status == "resolved"]
    assert len(fired) == len(resolved) < 20


def test_maintenance_counts_in_nothing_and_silences_the_outage_in_it() -> None:
    away = during((3, 4))
    day = Day(probe=lambda at: not away(at)).run(0, 2.75 * HOUR)
    day.observe(MaintenanceSet(True, "planned"), 2.75 * HOUR)
    day.run(2.75 * HOUR, 4.25 * HOUR)
    day.observe(MaintenanceSet(False, "over"), 4.25 * HOUR)
    day.run(4.25 * HOUR, 24 * HOUR)
    assert [status for _, status in day.states] == ["healthy", "maintenance", "unknown", "healthy"]
    assert day.told() == []
    uptime, coverage = day.uptime(24 * HOUR)
    assert uptime == 100.0
    assert coverage == pytest.approx(100 * 22.5 / 24, abs=0.01)


def test_an_outage_that_nobody_watched_is_not_known() -> None:
    """Health itself was away from 14:00 to 16:00; the provider too, from 13:00 to 15:00."""
    away = during((13, 15))
    day = Day(probe=lambda at: not away(at)).run(0, 14 * HOUR)
    day.around = replace(day.around, watched_from=MIDNIGHT + 16 * HOUR)
    day.observe(Unwatched(MIDNIGHT + 14 * HOUR), 16 * HOUR)
    day.run(16 * HOUR, 24 * HOUR)
    assert [status for _, status in day.states] == ["healthy", "down", "unknown", "healthy"]
    assert day.told() == [("down", "firing"), ("down", "resolved")]
    uptime, coverage = day.uptime(24 * HOUR)
    down_s = 14 * HOUR - day.states[1][0]
    assert coverage == pytest.approx(100 * 22 / 24, abs=0.01)
    assert uptime == pytest.approx(100 * (1 - down_s / (22 * HOUR)), abs=0.01)


def test_probes_that_find_nothing_out_are_missed() -> None:
    """From 5:00 on the provider limits our rate (which is a look, so nobody is alarmed), from 6:00 on nothing comes."""
    day = Day(probe=lambda at: None if at >= 5 * HOUR else True)
    day.run(0, 6 * HOUR)
    assert day.told() == []
    for second in range(int(6 * HOUR), int(6.5 * HOUR), 10):
        day.observe(Tick(), second)
    (alert,) = day.alerts
    assert (alert.alertname, alert.status) == ("probes_lost", "firing")
    assert alert.starts_at.timestamp() - MIDNIGHT == pytest.approx(6 * HOUR + 3 * 60 + 60, abs=61)
    day.probe = lambda at: True
    day.run(6.5 * HOUR, 7 * HOUR)
    assert day.told() == [("probes_lost", "firing"), ("probes_lost", "resolved")]


def test_who_has_just_begun_to_watch_does_not_miss_probes_yet() -> None:
    record = Record("openai", since=MIDNIGHT - 9999, sequence=1, last_check=MIDNIGHT - 9999)
    day = Day(probe=lambda at: True, watch=Watch(record))
    for second in range(200):
        day.observe(Tick(), second)
    assert day.told() == []
    day.around = replace(day.around, probe_interval_s=None)
    for second in range(200, 1000):
        day.observe(Tick(), second)
    assert day.told() == []


def test_a_week_is_not_remembered_longer_than_a_day() -> None:
    away = during(*((24 * day + 6, 24 * day + 7) for day in range(3)))
    day = Day(probe=lambda at: not away(at)).run(0, 3 * 24 * HOUR)
    assert len(day.states) == 7
    assert len(day.watch.spans) <= 4
    assert day.uptime(3 * 24 * HOUR)[0] == pytest.approx(100 * 23 / 24, abs=0.3)


def test_an_alert_tells_what_a_person_needs() -> None:
    day = Day(probe=lambda at: at < HOUR, around=replace(AROUND, runbooks_url="https://runbooks"))
    day.around = replace(day.around, dashboard_url="https://dashboard")
    day.run(0, 2 * HOUR)
    (alert,) = day.alerts
    assert alert.subject == "alerts.critical.openai.down"
    assert alert.msg_id == f"{alert.fingerprint}:1"
    assert alert.labels == {
        "alertname": "down",
        "provider": "openai",
        "severity": "critical",
        "service": "health",
    }
    assert alert.annotations == {
        "summary": "openai is down",
        "description": "3 failures in a row (active: simulated)",
        "runbook_url": "https://runbooks/down.md",
        "dashboard_url": "https://dashboard",
    }
    assert alert.ends_at is None


def test_a_fast_burn_is_told_when_both_windows_confirm_it_and_is_over_with_the_short_one() -> None:
    """One call a second, 99.5 % of which must succeed: 14.4 times the budget is an error rate of 7.2 %.

    From 7:00:00 to 7:30:00 every fifth call fails. The 5 minutes exceed 7.2 % soon; the hour holds 3,600 calls and
    exceeds 7.2 % with its 260th failure, the one of 7:21:35. It is looked at every ten seconds, so it fires at 7:21:40.
    After 7:30:00 the 5 minutes hold at most 7.2 % of failures (21 of 300) once that of 7:28:10 has left them, at 7:33:10.
    The pair of 6 h would need 648 failures; there are 360.
    """
    away = during((7, 7.5))

    def ok(at: float) -> bool:
        return not (away(at) and at % 5 == 0)

    failures = [0, *itertools.accumulate(not ok(at) for at in range(int(8 * HOUR)))]

    def measured(second: int) -> Figures:
        lengths = {name: min(second + 1, WINDOWS_S[name]) for name in ("5m", "30m", "1h", "6h", "3d")}
        return Figures(
            {
                name: Count(length, failures[second + 1] - failures[second + 1 - length])
                for name, length in lengths.items()
            }
        )

    day = Day(probe=lambda at: True, traffic=ok)
    for second in range(int(6.9 * HOUR), int(7.6 * HOUR), 10):
        day.around = replace(day.around, figures={"openai": measured(second)})
        day.run(second, second + 10)
    burns = [alert for alert in day.alerts if alert.alertname == "burn_rate"]
    assert [alert.status for alert in burns] == ["firing", "resolved"]
    fired, resolved = ((alert.occurred_at.timestamp() - MIDNIGHT) for alert in burns)
    assert (fired, resolved) == (7 * HOUR + 21 * MINUTE + 40, 7 * HOUR + 33 * MINUTE + 10)
    assert (burns[0].window, burns[0].threshold) == ("1h", 14.4)
    assert burns[0].value == pytest.approx(261 / 3600 / 0.005)
    assert burns[0].annotations["runbook_url"].endswith("/burn_rate.md")


def test_slower_than_its_own_week_is_told_after_five_minutes_and_not_while_it_is_down() -> None:
    """Its p95 was 400 ms over 7 days; from the fifth minute of the day on it is 1,300 ms, more than three times that."""
    day = Day(probe=lambda at: True).run(0, 5 * MINUTE)
    usual = {("7d", 0.95): Timing(9000, 400.0)}
    day.around = replace(
        day.around,
        figures={"openai": Figures({}, {**usual, ("5m", 0.95): Timing(50, 1300.0)}, {"timeout": 2})},
    )
    day.run(5 * MINUTE, 11 * MINUTE)
    (alert,) = day.alerts
    assert (alert.alertname, alert.value, alert.threshold) == ("latency_regression", 1300.0, 1200.0)
    assert alert.evidence.error_classes == {"timeout": 2}
    assert alert.starts_at.timestamp() - MIDNIGHT == pytest.approx(10 * MINUTE, abs=10)
    day.probe = lambda at: False
    day.run(11 * MINUTE, 15 * MINUTE)
    assert day.told()[1:] == [("down", "firing"), ("latency_regression", "suppressed")]
    assert day.alerts[-1].inhibited_by == fingerprint("down", "openai")


def test_the_incidents_of_a_day_are_those_that_were_planted() -> None:
    """Two outages of an hour, at 3:00 and at 15:00; probes find each after its third failure and its end at once."""
    away = during((3, 4), (15, 16))
    day = Day(probe=lambda at: not away(at)).run(0, 24 * HOUR)
    ends = [*(second for second, _ in day.states[1:]), None]
    intervals = [
        Interval(
            status=status,
            started_at=datetime.fromtimestamp(MIDNIGHT + start, UTC),
            ended_at=None if end is None else datetime.fromtimestamp(MIDNIGHT + end, UTC),
            reason="simulated",
        )
        for (start, status), end in zip(day.states, ends, strict=True)
    ]
    last = {alert.alert_id: alert for alert in day.alerts}
    found = incidents(
        "openai", intervals, last.values(), [], datetime.fromtimestamp(MIDNIGHT + 24 * HOUR, UTC)
    )
    opened = [incident.opened_at.timestamp() - MIDNIGHT for incident in reversed(found)]
    assert opened == [pytest.approx(hour * HOUR + 2 * MINUTE, abs=60) for hour in (3, 15)]
    assert [incident.duration_s for incident in found] == [pytest.approx(HOUR - 2 * MINUTE, abs=62)] * 2
    assert [[alert.alertname for alert in incident.alerts] for incident in found] == [["down"], ["down"]]
    down_s = sum(incident.duration_s for incident in found)
    assert day.uptime(24 * HOUR)[0] == pytest.approx(100 * (1 - down_s / (24 * HOUR)), abs=0.01)
