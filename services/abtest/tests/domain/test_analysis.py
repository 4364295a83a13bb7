"""What a test shows: verdicts on made-up data whose truth is known, and properties that hold for any data."""

import math
from typing import Any, get_args

import numpy as np
import pytest
from fairlead_abtest.domain.analysis import Question, analyse
from fairlead_abtest.domain.metrics import METRICS
from fairlead_abtest.domain.observations import OURS, Observation, Plan, Table
from fairlead_abtest.domain.pairs import compare_pairs
from fairlead_common.operations import abtest as ops
from hypothesis import given, settings
from hypothesis import strategies as st

A, B, C = "p/a", "p/b", "p/c"


def plan(prompts: int, arms: tuple[str, ...] = (A, B), repeats: int = 1, *, scored: bool = False) -> Plan:
    return Plan(arms, prompts, repeats, 60.0, frozenset(range(prompts)) if scored else frozenset())


def question(of: Plan, metric: ops.MetricName = "latency", **fields: Any) -> Question:
    values = {
        "test_id": 1,
        "status": "completed",
        "stop_reason": None,
        "metric": metric,
        "minimum_effect": {"quality": 0.05, "latency": 0.1, "cost": 0.05}[metric],
        "alpha": 0.05,
        "plan": of,
        **fields,
    }
    return Question(**values)


def latencies(
    n: int, ratios: dict[str, float], seed: int = 1, spread: float = 0.1, repeats: int = 1
) -> list[Observation]:
    """Prompts differ much, arms by their ratio: what pairing is for."""
    generator = np.random.default_rng(seed)
    found = []
    for prompt in range(n):
        size = generator.normal(0, 1)
        for repeat in range(repeats):
            for arm, ratio in ratios.items():
                noise = generator.normal(0, spread)
                latency = 800 * ratio * math.exp(size + noise)
                found.append(
                    Observation(
                        prompt,
                        repeat,
                        arm,
                        latency,
                        ttft_ms=latency / 4,
                        cost_usd=0.002,
                        response="same words",
                    )
                )
    return found


def qualities(values: dict[str, list[float | None]]) -> list[Observation]:
    """None = the call failed."""
    return [
        Observation(i, 0, arm, 500.0, "server_error" if value is None else None, None, 0.001, value)
        for arm, column in values.items()
        for i, value in enumerate(column)
    ]


def primary(found: ops.Analysis) -> ops.ComparisonOut:
    return found.comparisons[0]


def test_the_faster_arm_wins() -> None:
    found = analyse(question(plan(60)), latencies(60, {A: 1.0, B: 0.7}))
    assert (found.verdict.kind, found.verdict.winner, found.verdict.leaders) == ("winner", B, [B])
    assert f"{B} wins: it takes " in found.verdict.text
    pair = primary(found)
    assert pair.difference.value == pytest.approx(-0.3, abs=0.03)
    assert pair.difference.low is not None
    assert pair.difference.high is not None
    assert pair.difference.low < -0.3 < pair.difference.high < 0
    assert pair.finding == "better"
    assert pair.robust_p_value is not None
    assert pair.robust_p_value < 0.001
    assert pair.power is not None
    assert pair.power > 0.99
    assert pair.method == "ratio of geometric means; paired t; robust: Wilcoxon signed-rank"


def test_a_difference_too_small_to_matter_is_no_difference() -> None:
    found = analyse(question(plan(200)), latencies(200, {A: 1.0, B: 0.96}))
    assert found.verdict.kind == "no_difference"
    assert found.verdict.leaders == [A, B]
    assert "Choose by another criterion" in found.verdict.text
    p_value = primary(found).adjusted_p_value
    assert p_value is not None
    assert p_value < 0.05  # significant, and yet not worth having


def test_noise_needs_more_data_and_says_how_much() -> None:
    found = analyse(question(plan(20)), latencies(20, {A: 1.0, B: 0.8}, spread=1.0))
    assert found.verdict.kind == "not_enough_data"
    assert found.verdict.more_prompts is not None
    assert 30 < found.verdict.more_prompts < 2000
    assert f"about {found.verdict.more_prompts} more prompts" in found.verdict.text


def test_few_prompts_decide_nothing_however_clear_they_look() -> None:
    found = analyse(question(plan(9)), latencies(9, {A: 1.0, B: 0.1}, spread=0.01))
    assert found.verdict.kind == "not_enough_data"
    assert found.verdict.more_prompts == 1


def test_of_three_arms_two_lead() -> None:
    found = analyse(question(plan(150, (A, B, C))), latencies(150, {A: 1.0, B: 1.01, C: 2.0}))
    assert (found.verdict.kind, found.verdict.leaders) == ("no_difference", [A, B])
    by_arms = {(each.arm1, each.arm2): each for each in found.comparisons if each.metric == "latency"}
    assert {key: each.finding for key, each in by_arms.items()} == {
        (A, B): "equivalent",
        (A, C): "worse",
        (B, C): "worse",
    }
    assert all((each.adjusted_p_value or 0) >= (each.p_value or 0) for each in by_arms.values())


def test_pairing_finds_what_the_prompts_would_hide() -> None:
    """Prompts differ by a factor of e; 30 pairs are enough for 15 % all the same."""
    found = analyse(question(plan(30)), latencies(30, {A: 1.0, B: 0.85}, spread=0.05))
    assert found.verdict.winner == B


def test_a_single_prompt_is_judged_by_its_calls_and_only_for_itself() -> None:
    found = analyse(question(plan(1, repeats=40)), latencies(1, {A: 1.0, B: 0.7}, repeats=40))
    assert (found.unit, found.planned_units, found.verdict.winner) == ("call", 40, B)
    assert primary(found).method == "ratio of geometric means; Welch's t; robust: Mann-Whitney"
    assert any("for this prompt, not for others" in note for note in found.notes)


def test_repeats_of_a_prompt_are_not_taken_for_independent_prompts() -> None:
    found = analyse(question(plan(5, repeats=20)), latencies(5, {A: 1.0, B: 0.7}, repeats=20))
    assert primary(found).units == 5
    assert found.verdict.kind == "not_enough_data"


def test_failures_count_against_the_arm_that_was_asked() -> None:
    """B is quicker when it answers, but fails one call in three: a per-protocol look would make it the winner."""
    data = latencies(60, {A: 1.0, B: 0.7})
    flaky = [
        Observation(each.prompt_index, 0, B, 5.0, "server_error")
        if each.arm == B and each.prompt_index % 3 == 0
        else each
        for each in data
    ]
    found = analyse(question(plan(60)), flaky)
    pair = primary(found)
    assert found.verdict.winner == A
    assert pair.finding == "worse"
    assert pair.per_protocol.high is not None
    assert pair.per_protocol.high < 0
    assert pair.per_protocol_units == 40
    arm = found.arms[1]
    assert (arm.calls, arm.failures, arm.failure_classes) == (60, 20, {"server_error": 20})
    assert arm.success.value == pytest.approx(2 / 3)


def test_a_failed_call_has_quality_zero() -> None:
    found = analyse(
        question(plan(40, scored=True), "quality"),
        qualities({A: [1.0] * 40, B: [1.0, None] * 20}),
    )
    assert found.verdict.winner == A
    pair = primary(found)
    assert pair.difference.value == pytest.approx(-20 / 42)
    assert pair.per_protocol.value == 0.0
    assert pair.robust_p_value == pytest.approx(2 * 0.5**20)  # McNemar: 20 of 20 discordant pairs one way
    assert [arm.quality_mean for arm in found.arms] == [1.0, 0.5]


@pytest.mark.parametrize(("n", "kind"), [(12, "not_enough_data"), (100, "no_difference")])
def test_agreement_on_a_few_prompts_does_not_prove_equality(n: int, kind: str) -> None:
    found = analyse(question(plan(n, scored=True), "quality"), qualities({A: [1.0] * n, B: [1.0] * n}))
    assert found.verdict.kind == kind


def test_costs_are_compared_by_their_sum() -> None:
    data = [
        Observation(i, 0, arm, 500.0, cost_usd=cost)
        for i in range(50)
        for arm, cost in ((A, 0.001 + 0.0001 * (i % 7)), (B, 0.0005 + 0.00005 * (i % 5)))
    ]
    found = analyse(question(plan(50), "cost"), data)
    assert found.verdict.winner == B
    assert "costs " in found.verdict.text
    assert primary(found).difference.value == pytest.approx(0.0006 / 0.0013 - 1, abs=0.01)


@pytest.mark.parametrize(("free", "value"), [(B, -1.0), (A, None)])
def test_a_free_arm_wins_on_cost(free: str, value: float | None) -> None:
    data = [
        Observation(i, 0, arm, 500.0, cost_usd=0.0 if arm == free else 0.001 + 0.0001 * (i % 3))
        for i in range(20)
        for arm in (A, B)
    ]
    found = analyse(question(plan(20), "cost"), data)
    assert found.verdict.winner == free
    assert primary(found).difference.value == value
    assert "costs 100.0% less than" in found.verdict.text


def test_two_free_arms_cost_the_same() -> None:
    data = [Observation(i, 0, arm, 500.0, cost_usd=0.0) for i in range(20) for arm in (A, B)]
    assert analyse(question(plan(20), "cost"), data).verdict.kind == "no_difference"


def test_an_unknown_price_is_not_zero() -> None:
    data = [
        Observation(i, 0, arm, 500.0, cost_usd=None if arm == B else 0.01)
        for i in range(20)
        for arm in (A, B)
    ]
    found = analyse(question(plan(20)), data)
    cost = next(each for each in found.comparisons if each.metric == "cost")
    assert (cost.units, cost.finding, cost.method) == (0, "undecided", "none: the price of p/b is unknown")
    assert found.arms[0].cost_per_call_usd == pytest.approx(0.01)
    assert found.arms[1].cost_per_call_usd is None


def test_a_failed_call_costs_what_the_answer_elsewhere_costs() -> None:
    table = Table(
        plan(2),
        [
            Observation(0, 0, A, 1.0, cost_usd=0.01),
            Observation(0, 0, B, 1.0, "timeout_total"),
            Observation(1, 0, A, 1.0, "timeout_total"),
            Observation(1, 0, B, 1.0, "timeout_total"),
        ],
        whole=True,
    )
    first, second = table.pairs("cost", A, B, per_protocol=False)
    assert first.tolist() == second.tolist() == [0.01, 0.01]
    latency = table.pairs("latency", A, B, per_protocol=False)
    assert latency[1].tolist() == pytest.approx([math.log(60_000)] * 2)


def test_while_it_runs_the_quick_prompts_do_not_speak_for_the_others() -> None:
    """Only units before the first incomplete one count: the rest is complete early because it was quick."""
    data = [
        each for each in latencies(50, {A: 1.0, B: 0.7}) if not (each.prompt_index == 30 and each.arm == B)
    ]
    found = analyse(question(plan(50), status="running"), data)
    assert not found.final
    assert primary(found).units == 30
    assert "confidence sequence" in primary(found).method
    assert primary(found).robust_p_value is None
    assert found.quantile_differences[0].difference_ms.low is None
    assert found.arms[0].success.low is None
    whole = analyse(question(plan(50)), data)
    assert primary(whole).units == 49


def test_at_every_look_the_interval_is_wider_than_at_the_end() -> None:
    data = latencies(50, {A: 1.0, B: 0.9})
    widths = []
    for status in ("running", "completed"):
        shown = primary(analyse(question(plan(50), status=status), data)).difference
        assert shown.low is not None
        assert shown.high is not None
        widths.append(shown.high - shown.low)
    assert widths[0] > widths[1]


def test_a_stopped_test_says_so_and_what_it_had_shown() -> None:
    found = analyse(
        question(plan(100), status="cancelled", stop_reason="max_cost_usd reached"),
        latencies(60, {A: 1.0, B: 0.5}),
    )
    assert (found.verdict.kind, found.verdict.winner, found.final) == ("stopped", B, False)
    assert found.verdict.text.startswith("The test was stopped (max_cost_usd reached). Until then: p/b wins")


def test_calls_we_lost_ourselves_count_for_nobody() -> None:
    data = latencies(20, {A: 1.0, B: 0.7})
    data[0] = Observation(0, 0, A, 0.0, OURS)
    found = analyse(question(plan(20)), data)
    assert primary(found).units == 19
    assert [arm.calls for arm in found.arms] == [19, 20]
    assert any("1 calls were given up" in note for note in found.notes)
    assert not found.sample_ratio.alarm


def test_missing_results_raise_an_alarm() -> None:
    data = [each for each in latencies(300, {A: 1.0, B: 1.0}) if each.arm == A or each.prompt_index > 99]
    found = analyse(question(plan(300)), data)
    assert found.sample_ratio.observed == {A: 300, B: 200}
    assert found.sample_ratio.alarm
    assert analyse(question(plan(300), status="running"), data).sample_ratio.p_value is None


def test_quantiles_and_agreement_are_shown() -> None:
    found = analyse(question(plan(200)), latencies(200, {A: 1.0, B: 0.5}))
    assert [arm.agreement for arm in found.arms] == [1.0, 1.0]
    for each in found.arms[0].quantiles:
        shown = each.latency_ms
        assert shown.low is not None
        assert shown.value is not None
        assert shown.high is not None
        assert shown.low <= shown.value <= shown.high
    medians = found.quantile_differences[0]
    assert (medians.q, medians.arm1, medians.arm2) == (0.5, A, B)
    assert medians.difference_ms.high is not None
    assert medians.difference_ms.high < 0


def test_an_analysis_without_results_is_empty_and_valid() -> None:
    found = analyse(question(plan(10), status="running"), [])
    assert found.verdict.kind == "not_enough_data"
    assert found.verdict.more_prompts is None
    assert found.quantile_differences == []


def test_equal_arms_are_told_apart_no_more_often_than_stated_however_many_there_are() -> None:
    """Three equal arms, three pairs, nothing but significance in the way of a finding: Holm keeps the family at 5 %."""
    runs = 300
    wrong = 0
    for seed in range(runs):
        data = latencies(15, {A: 1.0, B: 1.0, C: 1.0}, seed=seed)
        pairs = compare_pairs(
            Table(plan(15, (A, B, C)), data, whole=True),
            METRICS["latency"],
            decides=True,
            alpha=0.05,
            minimum_effect=1e-6,
            final=True,
        )
        wrong += any(each.finding in ("better", "worse") for each in pairs)
    assert wrong / runs <= 0.05 + 4.5 * math.sqrt(0.05 * 0.95 / runs)
    assert wrong > 0


observations = st.builds(
    Observation,
    prompt_index=st.integers(0, 11),
    repeat=st.integers(0, 1),
    arm=st.sampled_from([A, B, C]),
    latency_ms=st.sampled_from([0.0, 1.0, 250.0, 250.0, 1e5]),
    error_class=st.sampled_from([None, None, None, "server_error", OURS]),
    ttft_ms=st.one_of(st.none(), st.floats(0, 100)),
    cost_usd=st.sampled_from([None, 0.0, 0.001, 0.002]),
    quality=st.sampled_from([None, 0.0, 0.5, 1.0]),
    output_tokens=st.one_of(st.none(), st.integers(0, 100)),
    response=st.one_of(st.none(), st.text(max_size=10)),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(observations, max_size=80),
    st.sampled_from(get_args(ops.MetricName)),
    st.sampled_from(["running", "completed", "cancelled"]),
    st.sampled_from([(1, 2), (12, 1), (6, 2)]),
)
def test_any_data_gives_a_valid_analysis(
    data: list[Observation], metric: ops.MetricName, status: str, shape: tuple[int, int]
) -> None:
    of = Plan((A, B, C), shape[0], shape[1], 30.0, frozenset(range(shape[0])))
    data = [each for each in data if each.prompt_index < shape[0] and each.repeat < shape[1]]
    found = analyse(question(of, metric, status=status), data)
    assert ops.Analysis.model_validate_json(found.model_dump_json()) == found
    for each in found.comparisons:
        assert each.p_value is None or 0 <= each.p_value <= 1
        assert each.adjusted_p_value is None or each.p_value is None or each.adjusted_p_value >= each.p_value
        assert each.power is None or 0 <= each.power <= 1
        if each.finding != "undecided":
            assert each.units >= 10
    assert (found.verdict.winner is None) or found.verdict.leaders == [found.verdict.winner]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.5, 0.9, 1.0, 1.3]), st.sampled_from(["running", "completed"]))
def test_the_order_of_the_arms_does_not_matter(seed: int, ratio: float, status: str) -> None:
    data = latencies(25, {A: 1.0, B: ratio}, seed=seed, spread=0.2)
    one = analyse(question(plan(25, (A, B)), status=status), data)
    other = analyse(question(plan(25, (B, A)), status=status), data)
    assert one.verdict.winner == other.verdict.winner
    assert one.verdict.kind == other.verdict.kind
    mirrored = {"better": "worse", "worse": "better"}
    assert primary(other).finding == mirrored.get(primary(one).finding, primary(one).finding)
    assert primary(one).p_value == pytest.approx(primary(other).p_value)
