"""The learned quality: judged by expected utility, switched on only when it is better, fair to the order of time."""

import numpy as np
import pytest
from fairlead_routing.quality.evaluation import Cases, judge
from fairlead_routing.quality.latency import (
    EACH_ROUND,
    ONE_PER_MODEL,
    OTHER_ROUNDS,
    Measurement,
    compare_latency,
    recent_quantile,
)
from fairlead_routing.quality.outcomes import Outcomes, compare
from fairlead_routing.quality.predictors import Factors, TaskMeans, Training


def cases(utility: list[list[float]], context_of: list[int]) -> Cases:
    arms = tuple("abcdef"[: len(utility[0])])
    contexts = tuple(str(number) for number in sorted(set(context_of)))
    return Cases(
        arms, contexts, np.array(context_of), np.array(utility), lambda best: np.full(len(best), 0.01)
    )


def test_regret_is_against_the_best_mean_of_the_context() -> None:
    found = cases([[1, 0], [1, 0], [0, 1], [0, 1]], [0, 0, 1, 1])
    report = judge(found, {"first": np.zeros(4, int), "best": np.array([0, 0, 1, 1])}, [("best", "first")], 0)
    assert report.verdicts["best"].regret.value == 0
    assert report.verdicts["best"].eps_optimal.value == 1
    assert report.verdicts["first"].regret.value == pytest.approx(0.5)
    assert report.verdicts["first"].optimal_picks.value == pytest.approx(0.5)
    assert report.gains["best", "first"].value == pytest.approx(0.5)


def test_contexts_without_a_difference_do_not_raise_the_rate() -> None:
    found = cases([[0.5, 0.5], [0.5, 0.5], [0, 1], [0, 1]], [0, 0, 1, 1])
    report = judge(found, {"first": np.zeros(4, int)}, [], 0)
    assert report.indifferent == 1
    assert report.verdicts["first"].eps_optimal.value == 0


def test_a_pick_that_was_not_allowed_costs_as_much_as_the_worst() -> None:
    found = cases([[1, 0, np.nan], [1, 0, 1], [1, 0, 1], [1, 0, 1]], [0, 0, 0, 0])
    report = judge(found, {"third": np.full(4, 2)}, [], 0)
    assert report.verdicts["third"].not_allowed == 1
    assert report.verdicts["third"].regret.value == pytest.approx(0.25)


def outcomes(*, separable: bool) -> Outcomes:
    rng = np.random.default_rng(1)
    kinds = rng.integers(2, size=400)
    words = [("prove theorem integral", "write poem rhyme")[kind] for kind in kinds]
    prompts = tuple(f"{text} {rng.integers(1000)}" for text in words)
    chances = np.where(kinds[:, None] == np.array([0, 1]), 0.9, 0.3) if separable else np.full((400, 2), 0.6)
    quality = (rng.random((400, 2)) < chances).astype(float)
    return Outcomes("made", prompts, ("all",) * 400, ("prover", "poet"), quality)


def test_what_can_be_learned_is_learned_and_switched_on() -> None:
    (found,) = compare(outcomes(separable=True), seed=0)
    assert all(low > 0 for _, low, _ in found.validated)
    assert found.report.gains["fairlead", "per-task best"].low > 0.1
    assert found.report.gains["clusters", "per-task best"].low > 0.1


def test_without_anything_to_learn_the_task_means_stay() -> None:
    (found,) = compare(outcomes(separable=False), seed=0)
    assert all(low <= 0 for _, low, _ in found.validated)
    assert found.report.gains["fairlead", "per-task best"].value == 0


def test_a_few_good_outcomes_do_not_make_a_winner() -> None:
    quality = np.column_stack((np.r_[np.ones(3), np.full(97, np.nan)], np.r_[np.ones(80), np.zeros(20)]))
    means = TaskMeans.of(Training(np.ones((100, 1)), np.zeros(100, int), quality))
    assert means.overall[1] == pytest.approx(0.8)
    assert means.overall[0] == pytest.approx(0.03)
    assert int(np.argmax(means.predict(np.ones((1, 1)), np.array([0])))) == 1


def measured(round_: int, provider: str, seconds: float | None, region: str = "eu") -> Measurement:
    return Measurement(round_ * 3600.0, round_ * 3600.0, region, "m", provider, seconds)


def test_a_pick_knows_nothing_of_its_own_round_or_of_later_ones() -> None:
    """The slow provider becomes the fast one in the later half: the first pick there must still be the old favourite."""
    early = [each for n in range(4) for each in (measured(n, "a", 1.0), measured(n, "b", 2.0))]
    late = [measured(4, "a", 9.0), measured(4, "b", 0.1)]
    report = compare_latency([*early, *late, *[measured(3, "c", 5.0)]], seed=0)
    assert report.cases >= 1
    before = compare_latency([*early, measured(4, "a", 0.1), measured(4, "b", 9.0)], seed=0)
    assert before.verdicts["fairlead"].regret.value < report.verdicts["fairlead"].regret.value


def test_old_measurements_fade_and_those_of_other_regions_weigh_less() -> None:
    now = 60 * 86_400.0
    expect = recent_quantile(half_life_days=7.0, other_regions=0.3, quantile=0.6)
    old = [measured(0, "a", 1.0) for _ in range(3)]
    new = [Measurement(now - 60, now - 60, "eu", "m", "a", 3.0) for _ in range(3)]
    assert expect([*old, *new], "eu", now) == 3.0
    far = [Measurement(now - 60, now - 60, "us", "m", "a", 9.0) for _ in range(3)]
    assert expect([*new, *far], "eu", now) == 3.0
    assert expect([], "eu", now) == float("inf")


def test_the_leader_of_earlier_rounds_is_followed_and_who_only_fails_is_not_picked() -> None:
    steady = [
        each for n in range(40) for each in (measured(n, "a", 1.0), measured(n, "b", 2.0 - n % 2 * 1.5))
    ]
    report = compare_latency(steady, seed=0)
    regrets = {name: each.regret.value for name, each in report.verdicts.items()}
    assert regrets["fairlead"] <= min(regrets["random"], regrets["EWMA(.3)"]) + 1e-9
    failing = [each for n in range(40) for each in (measured(n, "a", None), measured(n, "b", 2.0))]
    assert compare_latency(failing, seed=0).verdicts["fairlead"].not_allowed == 0


def test_a_provider_that_often_fails_is_not_fast() -> None:
    trace = [
        each
        for n in range(40)
        for each in (measured(n, "a", 0.5 if n % 2 else None), measured(n, "b", 1.0), measured(n, "c", 9.0))
    ]
    verdicts = compare_latency(trace, seed=0).verdicts
    for name in ("best single", "median history", "fairlead"):
        assert verdicts[name].not_allowed == 0, name


def test_oracles_bound_what_pickers_can_reach() -> None:
    """Each region has a best provider of its own."""
    rng = np.random.default_rng(1)
    trace = [
        measured(n, provider, seconds + float(rng.exponential(0.5)), region)
        for n in range(80)
        for region, a, b in (("eu", 1.0, 2.0), ("us", 2.0, 1.2))
        for provider, seconds in (("a", a), ("b", b), ("c", 4.0))
    ]
    verdicts = compare_latency(trace, seed=0).verdicts
    regrets = {name: each.regret.value for name, each in verdicts.items()}
    assert regrets[EACH_ROUND] == min(regrets.values()) < 0
    assert verdicts[EACH_ROUND].eps_optimal.value == 1.0
    assert regrets[OTHER_ROUNDS] == pytest.approx(0.0), "the level of the days is all that counts here"
    assert regrets[ONE_PER_MODEL] > 0.3, "one of the regions gets the wrong one"
    assert regrets[EACH_ROUND] < regrets[OTHER_ROUNDS] <= regrets["fairlead"] + 1e-9


def test_a_trace_without_a_choice_is_refused() -> None:
    with pytest.raises(ValueError, match="no model was measured at two providers"):
        compare_latency([measured(n, "a", 1.0) for n in range(10)], seed=0)


def test_contexts_without_a_judged_arm_do_not_spoil_the_figures() -> None:
    quality = np.full((60, 2), np.nan)
    quality[:50] = (0.2, 0.9)
    tasks = ("known",) * 50 + ("unknown",) * 10
    outcomes = Outcomes("x", tuple(f"prompt {n}" for n in range(60)), tasks, ("a", "b"), quality)
    (found,) = compare(outcomes, seed=0)
    for verdict in found.report.verdicts.values():
        assert np.isfinite([verdict.regret.value, verdict.of_oracle.value]).all()
    assert found.report.verdicts["fairlead"].regret.value == pytest.approx(0.0)


def test_factors_find_the_few_traits_that_explain_many_models() -> None:
    rng = np.random.default_rng(0)
    places = rng.normal(size=(400, 8))
    places /= np.linalg.norm(places, axis=1, keepdims=True)
    quality = places @ rng.normal(size=(8, 2)) @ rng.normal(size=(2, 12))
    training = Training(places[:300], np.zeros(300, dtype=np.int64), quality[:300])
    found = Factors.of(training, (2, 1e-6))
    assert np.linalg.matrix_rank(found.weights, tol=1e-6) == 2
    later = np.zeros(100, dtype=np.int64)
    error = found.predict(places[300:], later) - quality[300:]
    usual = TaskMeans.of(training).predict(places[300:], later) - quality[300:]
    assert np.square(error).mean() < 0.1 * np.square(usual).mean()
