"""A workspace's own failover rules: for whom they hold, who goes first, who stands in, and what their triggers move."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from fairlead_common.decisions.conditions import ConditionError
from fairlead_common.decisions.gate_records import Cause
from fairlead_common.decisions.plan import FleetView, Gate, GateState, Plan, RouteRequest
from fairlead_common.decisions.policies import CompiledPolicy, compile_policy
from fairlead_common.decisions.routing import make_plan
from fairlead_common.decisions.table import CompiledTable
from fairlead_common.decisions.targets import Candidate, Target
from fairlead_common.decisions.triggers import Outcome, Tripped, acceptable, facts, tripped
from fairlead_common.outcomes import ErrorClass
from fairlead_common.snapshots.failover import PolicyRule, PolicySnapshot, Triggers

ALL = {
    name: Candidate(Target(*name.split("/")), True, quality=quality)
    for name, quality in (
        ("openai/a", 0.95),
        ("openai/b", 0.8),
        ("anthropic/c", 0.65),
        ("google/d", 0.5),
        ("mistral/e", 0.3),
    )
}
NAMES = {
    "asked": ["openai/a", "openai/b"],
    "class:fast": ["google/d", "mistral/e"],
    **{name: [name] for name in ALL},
}
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()


def resolve(name: str) -> tuple[Candidate, ...]:
    named = [ALL[each] for each in NAMES[name]]
    rest = [replace(each, named=False) for each in ALL.values() if each not in named]
    return (*named, *rest)


def policy(*rules: dict[str, Any], enabled: bool = True) -> CompiledPolicy:
    parsed = tuple(
        PolicyRule.model_validate({"name": f"r{place}", **rule}) for place, rule in enumerate(rules)
    )
    return compile_policy(PolicySnapshot(workspace_id=1, version=1, enabled=enabled, rules=parsed))


def planned(
    found: CompiledPolicy, view: FleetView | None = None, draw: float = 0.5, now: float = NOON, **request: Any
) -> list[str]:
    asked = RouteRequest("asked", **request)
    plan = make_plan(CompiledTable(), found, asked, resolve, view or FleetView(), now, draw)
    assert isinstance(plan, Plan)
    return [str(step.target) for step in plan.steps]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"chain": ["mistral/e", "anthropic"]}, ["openai/a", "openai/b", "mistral/e", "anthropic/c"]),
        (
            {"primary": "anthropic/c", "chain": ["openai/b", "class:fast"]},
            ["anthropic/c", "openai/b", "google/d", "mistral/e"],
        ),
        ({"primary": "openai", "chain": ["google"]}, ["openai/a", "openai/b", "google/d"]),
        ({"primary": "class:fast", "chain": ["openai/a"]}, ["google/d", "mistral/e", "openai/a"]),
        ({"chain": ["gone/model", "mistral"]}, ["openai/a", "openai/b", "mistral/e"]),
    ],
)
def test_a_rule_says_who_goes_first_and_who_stands_in_in_its_order(
    rule: dict[str, Any], expected: list[str]
) -> None:
    assert planned(policy(rule)) == expected


@pytest.mark.parametrize(
    ("rule", "request_", "applies"),
    [
        ({}, {}, True),
        ({"enabled": False}, {}, False),
        ({"routes": ["night"]}, {}, False),
        ({"conditions": {"models": ["ask*"]}}, {}, True),
        ({"conditions": {"metadata": {"team": "x"}}}, {"metadata": {"team": "x"}}, True),
        ({"conditions": {"metadata": {"team": "x"}}}, {}, False),
        ({"conditions": {"when": "now.getHours('Europe/Berlin') >= 13"}}, {}, True),
        ({"conditions": {"when": "now.getHours('UTC') >= 13"}}, {}, False),
        ({"conditions": {"when": "now.getDayOfWeek('America/New_York') == 1"}}, {}, True),
    ],
)
def test_for_whom_a_rule_holds(rule: dict[str, Any], request_: dict[str, Any], applies: bool) -> None:
    found = planned(policy({"primary": "mistral/e", "chain": ["google"], **rule}), **request_)
    assert (found == ["mistral/e", "google/d"]) is applies


def test_the_first_rule_that_applies_decides_and_none_does_without_failover() -> None:
    two = ({"primary": "mistral/e", "chain": ["google"]}, {"primary": "google/d", "chain": ["mistral"]})
    assert planned(policy(*two))[0] == "mistral/e"
    assert planned(policy(*two, enabled=False)) == ["openai/a", "openai/b"]
    assert planned(policy(*two), failover=False) == ["mistral/e"]


def test_what_the_triggers_have_moved_is_passed_over_by_that_rule_alone() -> None:
    view = FleetView(policy_gates={"r0": {Target("openai", "a"): Gate(GateState.OPEN, 0.0)}})
    assert planned(policy({"chain": ["mistral"]}), view) == ["openai/b", "mistral/e"]
    assert planned(policy({"routes": ["x"]}, {"chain": ["mistral"]}), view)[0] == "openai/a"
    recovering = FleetView(policy_gates={"r0": {Target("openai", "a"): Gate(GateState.RECOVERING, 0.1)}})
    assert planned(policy({"chain": ["mistral"]}), recovering, 0.05)[0] == "openai/a"
    assert planned(policy({"chain": ["mistral"]}), recovering, 0.5) == ["openai/b", "mistral/e", "openai/a"]
    everything = {Target(*name.split("/")): Gate(GateState.OPEN, 0.0) for name in ALL}
    assert len(planned(policy({"chain": ["mistral"]}), FleetView(policy_gates={"r0": everything}))) == 3


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        (
            {"providers": ["openai"]},
            "rule 'r0': conditions.providers is not a condition here; known are when",
        ),
        ({"when": "request.language == 'de'"}, "request.language is known to routing rules only"),
        ({"when": "1 +"}, "rule 'r0': conditions.when"),
    ],
)
def test_conditions_that_cannot_be_used_name_the_rule(conditions: dict[str, Any], message: str) -> None:
    with pytest.raises(ConditionError, match=message):
        policy({"conditions": conditions})


def outcomes(signs: str, latency_ms: float = 100.0, ttft_ms: float | None = 10.0) -> list[Outcome]:
    """One a second until ``NOON``: . = well, x = failed, t = cut short, l = limited, q = out of credit."""
    errors = {
        "x": ErrorClass.SERVER_ERROR,
        "t": ErrorClass.TRUNCATED,
        "l": ErrorClass.RATE_LIMITED,
        "q": ErrorClass.QUOTA_EXHAUSTED,
    }
    begin = NOON - len(signs) + 1
    return [Outcome(begin + place, errors.get(sign), latency_ms, ttft_ms) for place, sign in enumerate(signs)]


def trip(triggers: Triggers, seen: list[Outcome], status: str = "healthy") -> Tripped | None:
    within = (each for each in seen if each.at > NOON - triggers.window_s)
    return tripped(triggers, facts(within), status)


@pytest.mark.parametrize(
    ("triggers", "signs", "cause"),
    [
        ({}, "xxxxxxxxxxxxxxxxxx", None),
        ({"error_rate": 0.2}, "........xx", None),
        ({"error_rate": 0.2}, ".......xxx", Cause.ERROR_RATE),
        ({"error_rate": 0.2}, "xxxxxxxxx", None),
        ({"error_rate": 0.2, "min_calls": 3}, "xxx", Cause.ERROR_RATE),
        ({"error_rate": 0.2, "window_s": 5}, "xxxxxxxx.....", None),
        ({"error_rate": 0.2}, ".......lllll", None),
        ({"truncation_rate": 0.1}, "........tt", Cause.TRUNCATION_RATE),
        ({"truncation_rate": 0.1}, "........xx", None),
        ({"consecutive_failures": 3}, ".xx.xx", None),
        ({"consecutive_failures": 3}, "..xtx", Cause.CONSECUTIVE_FAILURES),
        ({"rate_limited": True}, "....l..", Cause.RATE_LIMITED),
        ({"quota_exhausted": True}, "q", Cause.QUOTA_EXHAUSTED),
        ({"quota_exhausted": True}, "l", None),
        ({"latency_p95_ms": 100}, "." * 20, None),
        ({"latency_p95_ms": 99}, "." * 20, Cause.LATENCY),
        ({"latency_p95_ms": 99}, "." * 9 + "x" * 9, None),
        ({"ttft_p95_ms": 9}, "." * 20, Cause.TTFT),
    ],
)
def test_triggers(triggers: dict[str, Any], signs: str, cause: Cause | None) -> None:
    found = trip(Triggers.model_validate(triggers), outcomes(signs))
    assert (found and found.cause) == cause


def test_the_percentile_is_by_the_nearest_rank() -> None:
    seen = [Outcome(NOON, None, float(place)) for place in range(1, 101)]
    assert trip(Triggers(latency_p95_ms=95), seen) is None
    found = trip(Triggers(latency_p95_ms=94.9), seen)
    assert found is not None
    assert found.evidence == "the 95th percentile of 100 calls is 95 ms, more than 94.9"


def test_states_trigger_without_calls() -> None:
    triggers = Triggers(status=("degraded",))
    assert trip(triggers, [], "degraded") is not None
    assert trip(triggers, [], "down") is None


def test_a_slow_answer_does_not_speak_for_a_target_that_was_left_for_being_slow() -> None:
    assert acceptable(Triggers(), Outcome(NOON, None, 5000.0))
    assert not acceptable(Triggers(latency_p95_ms=1000), Outcome(NOON, None, 5000.0))
    assert not acceptable(Triggers(ttft_p95_ms=100), Outcome(NOON, None, 50.0, 500.0))
    assert not acceptable(Triggers(), Outcome(NOON, ErrorClass.CONNECT, 1.0))
