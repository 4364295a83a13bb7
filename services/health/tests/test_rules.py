"""Alert rules: what is refused and why, what each kind finds, and the rules and pages that Fairlead brings along."""

from pathlib import Path
from typing import Any

import pytest
from fairlead_common.events.health import Status
from fairlead_common.operations.alert_rules import RUNBOOKS
from fairlead_health.domain.breaches import Seen, breach
from fairlead_health.domain.drift import WIRE_DRIFT
from fairlead_health.domain.figures import Count, Figures, Timing, Wanted, wanted
from fairlead_health.domain.rules import RULE, applying, read
from fairlead_health.domain.status import Record
from fairlead_health.rules import built_in

PAGES = Path(__file__).parents[3] / "docs" / "runbooks"
PROVIDERS = ("anthropic", "openai")

Raw = dict[str, Any]


def rule(kind: str, **given: Any) -> Raw:
    return {"name": "mine", "kind": kind, "severity": "warning", **given}


BURN = {"factor": 14.4, "long": "1h", "short": "5m"}


@pytest.mark.parametrize(
    ("raw", "where", "reason"),
    [
        ([rule("down", treshold=1)], "rules[0].treshold", "there is no such key"),
        ([rule("error_rate")], "rules[0].threshold", "is missing"),
        ([{"name": "mine", "severity": "info"}], "rules[0]", "kind is missing"),
        ([rule("slow")], "rules[0]", "kind 'slow' is unknown; expected one of 'down', 'degraded'"),
        ([rule("error_rate", threshold=1.2)], "rules[0].threshold", "less than 1"),
        ([rule("error_rate", threshold=1.0)], "rules[0].threshold", "less than 1"),
        ([rule("error_rate", threshold=0)], "rules[0].threshold", "greater than 0"),
        ([rule("error_rate", threshold=0.1, window="2h")], "rules[0].window", "Input should be '5m'"),
        ([rule("latency", threshold_ms=-1)], "rules[0].threshold_ms", "greater than 0"),
        ([rule("latency", threshold_ms=9, quantile=95)], "rules[0].quantile", "less than or equal to 0.999"),
        ([rule("latency_baseline", factor=0.5)], "rules[0].factor", "greater than 1"),
        ([rule("down", severity="loud")], "rules[0].severity", "'critical', 'warning' or 'info'"),
        ([rule("down", name="Down!")], "rules[0].name", "pattern"),
        ([rule("down", name="wire_drift")], "rules[0].name", "raised without a rule"),
        ([rule("down"), rule("degraded")], "rules[1].name", "the name of rules[0] and rules[1]"),
        ([rule("down", providers=["opnai"])], "rules[0].providers[0]", "configured are anthropic, openai"),
        ([rule("down", labels={"provider": "x"})], "rules[0].labels.provider", "set by Fairlead itself"),
        ([rule("down", inhibited_by=["gone"])], "rules[0].inhibited_by[0]", "there is no rule 'gone'"),
        ([rule("down", inhibited_by=["mine"])], "rules[0].inhibited_by[0]", "inhibit each other"),
        (
            [rule("down", inhibited_by=["other"]), rule("degraded", name="other", inhibited_by=["mine"])],
            "rules[0].inhibited_by[0]",
            "neither would be told",
        ),
        (
            [rule("error_rate", threshold=0.1, window="1h", for_s=7201)],
            "rules[0].for_s",
            "can never fire: for_s is 7201 s, but what it looks at is kept for 7200 s",
        ),
        (
            [rule("error_rate", threshold=0.1, min_calls=1_500_001)],
            "rules[0].min_calls",
            "can never fire: 1500001 calls in 5m are more than the 1500000",
        ),
        (
            [rule("burn_rate", objective=0.9, burns=[BURN])],
            "rules[0].burns[0].factor",
            "can never fire: 14.4 times an error budget of 0.1 is an error rate of 1.44",
        ),
        (
            [rule("burn_rate", objective=0.99, burns=[{"factor": 2, "long": "5m", "short": "1h"}])],
            "rules[0].burns[0]",
            "the short window (1h) must be shorter",
        ),
        ([rule("burn_rate", objective=1, burns=[BURN])], "rules[0].objective", "less than 1"),
        ([rule("burn_rate", objective=0.99, burns=[])], "rules[0].burns", "at least 1 item"),
        ([rule("coverage_lost", missed_probes=0)], "rules[0].missed_probes", "greater than or equal to 1"),
    ],
)
def test_a_rule_is_refused_with_its_place_and_the_reason(raw: list[Raw], where: str, reason: str) -> None:
    _, problems = read(raw, PROVIDERS)
    assert where in [each.where for each in problems]
    assert reason in next(each.message for each in problems if each.where == where)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    _, problems = read([rule("down", x=1), rule("error_rate", threshold=2, providers=["x"])], PROVIDERS)
    assert {each.where for each in problems} == {"rules[0].x", "rules[1].threshold", "rules[1].name"}


def test_the_built_in_rules_are_accepted_by_their_own_checks() -> None:
    raw = [each.model_dump(mode="json") for each in built_in()]
    assert read(raw, PROVIDERS) == (built_in(), [])


@pytest.mark.parametrize(
    "name", sorted({*(each.name for each in built_in()), *RUNBOOKS.values(), WIRE_DRIFT})
)
def test_every_alert_has_a_runbook(name: str) -> None:
    page = (PAGES / f"{name}.md").read_text()
    for title in (
        "## What it means",
        "## How to check",
        "## What Fairlead did",
        "## What to do",
        "## How to silence",
    ):
        assert title in page, f"{name}.md has no '{title}'"


def test_no_runbook_is_for_nothing() -> None:
    known = {*(each.name for each in built_in()), *RUNBOOKS.values(), WIRE_DRIFT}
    assert {page.stem for page in PAGES.glob("*.md")} == known


def test_a_rule_watches_the_providers_it_names_while_it_is_on() -> None:
    rules, problems = read(
        [rule("down", providers=["openai"]), rule("degraded", name="off", enabled=False)], PROVIDERS
    )
    assert problems == []
    assert [each.name for each in applying(rules, "openai")] == ["mine"]
    assert applying(rules, "anthropic") == ()


def test_only_what_rules_look_at_is_measured() -> None:
    assert wanted(built_in()) == Wanted(
        frozenset(("5m", "30m", "1h", "6h", "3d")), frozenset((("5m", 0.95), ("7d", 0.95)))
    )


def found(
    raw: Raw,
    counts: dict[str, Count] | None = None,
    timings: dict[tuple[str, float], Timing] | None = None,
    status: Status = Status.HEALTHY,
    **seen: Any,
) -> tuple[bool | None, float | None]:
    record = Record("openai", status=status, last_check=1000.0)
    figures = Figures(counts or {}, timings or {})
    result = breach(
        RULE.validate_python(raw), Seen(record, seen.pop("recent", Count(0, 0)), 1000.0, figures, **seen)
    )
    return result.breached, None if result.value is None else round(result.value, 6)


@pytest.mark.parametrize(
    ("recent", "status", "expected"),
    [
        (Count(100, 11), Status.HEALTHY, (True, 0.11)),
        (Count(100, 10), Status.HEALTHY, (False, 0.1)),
        (Count(9, 9), Status.DOWN, (None, None)),
        (Count(9, 0), Status.HEALTHY, (False, None)),
    ],
)
def test_error_rate(recent: Count, status: Status, expected: tuple[bool | None, float | None]) -> None:
    assert found(rule("error_rate", threshold=0.1), recent=recent, status=status) == expected


def test_error_rate_of_a_longer_window_is_unknown_until_it_is_measured() -> None:
    raw = rule("error_rate", threshold=0.1, window="1h")
    assert found(raw) == (None, None)
    assert found(raw, {"1h": Count(50, 10)}) == (True, 0.2)


@pytest.mark.parametrize(
    ("timing", "expected"),
    [
        (Timing(20, 5001.0), (True, 5001.0)),
        (Timing(20, 5000.0), (False, 5000.0)),
        (Timing(9, 9999.0), (False, None)),
        (None, (None, None)),
    ],
)
def test_latency(timing: Timing | None, expected: tuple[bool | None, float | None]) -> None:
    timings = {} if timing is None else {("5m", 0.95): timing}
    assert found(rule("latency", threshold_ms=5000), timings=timings) == expected


@pytest.mark.parametrize(
    ("now", "usual", "expected"),
    [
        (Timing(20, 3001.0), Timing(500, 1000.0), (True, 3001.0)),
        (Timing(20, 3000.0), Timing(500, 1000.0), (False, 3000.0)),
        (Timing(19, 9000.0), Timing(500, 1000.0), (False, None)),
        (Timing(20, 9000.0), Timing(499, 1000.0), (False, None)),
        (Timing(20, 9000.0), None, (None, None)),
    ],
)
def test_latency_against_the_providers_own_baseline(
    now: Timing, usual: Timing | None, expected: tuple[bool | None, float | None]
) -> None:
    timings = {("5m", 0.95): now} | ({} if usual is None else {("7d", 0.95): usual})
    assert found(rule("latency_baseline", factor=3), timings=timings) == expected


@pytest.mark.parametrize(
    ("long", "short", "expected"),
    [
        # An objective of 99.5 % leaves a budget of 0.5 %: 14.4 times that is an error rate of 7.2 %.
        (Count(1000, 73), Count(100, 8), (True, 14.6)),
        (Count(1000, 72), Count(100, 8), (False, None)),
        (Count(1000, 200), Count(100, 7), (False, None)),  # it was bad and is over
        (Count(1000, 20), Count(100, 90), (False, None)),  # a blip
        (Count(99, 99), Count(99, 99), (False, None)),
        (Count(1000, 200), Count(0, 0), (False, None)),
        (None, Count(100, 90), (None, None)),
    ],
)
def test_burn_rate_needs_both_windows_and_enough_calls(
    long: Count | None, short: Count, expected: tuple[bool | None, float | None]
) -> None:
    counts = {"5m": short} | ({} if long is None else {"1h": long})
    assert found(rule("burn_rate", objective=0.995, burns=[BURN]), counts) == expected


def test_one_of_several_burns_is_enough() -> None:
    raw = rule("burn_rate", objective=0.99, burns=[BURN, {"factor": 6, "long": "6h", "short": "30m"}])
    counts = {"1h": Count(1000, 70), "5m": Count(100, 7), "6h": Count(9000, 630), "30m": Count(500, 35)}
    assert found(raw, counts) == (True, 7.0)


def test_a_spent_budget_of_probes_and_lost_coverage() -> None:
    assert found(rule("probe_budget_spent"), probe_budget_spent="daily") == (True, None)
    assert found(rule("probe_budget_spent")) == (False, None)
    raw = rule("coverage_lost", missed_probes=2)
    assert found(raw, probe_interval_s=None) == (False, None)
    assert found(raw, probe_interval_s=60, watched_from=-9999.0) == (False, 0.0)
