"""What is expected in prompt caches: learned from bills, bounded, forgotten."""

from pathlib import Path

from fairlead_common.decisions.targets import Target
from fairlead_common.snapshots.routes import RoutesSnapshot, RuleSnapshot
from fairlead_edge.affinity import LASTS_S, MAX_CONVERSATIONS, Affinity
from fairlead_simulator.testing import Running

from tests.support.edge import edge_here, journalled, put_snapshot, spec_of

A, B = Target("openai", "a"), Target("google", "b")


def test_a_target_that_answered_is_expected_to_have_the_beginning_until_it_forgets() -> None:
    affinity = Affinity()
    assert affinity.shares("x", 2000, 0.0) == {}
    affinity.note("x", A, 2000, 0.0, 0.0)
    assert affinity.shares("x", 4000, 10.0) == {A: 0.25}
    assert affinity.shares("x", 1000, 10.0) == {A: 0.5}
    assert affinity.shares("y", 4000, 10.0) == {}
    assert affinity.shares("x", 4000, LASTS_S + 1) == {}
    affinity.note("y", A, 100, 0.0, 0.0)
    assert affinity.shares("y", 200, 1.0) == {}


def test_who_bills_cached_input_is_trusted_and_who_does_not_is_not() -> None:
    affinity = Affinity()
    for turn in range(30):
        affinity.note("x", A, 2000, 1.0, float(turn))
        affinity.note("x", B, 2000, 0.0, float(turn))
    found = affinity.shares("x", 2000, 30.0)
    assert found[A] > 0.9
    assert found[B] < 0.1


def test_it_is_bounded() -> None:
    affinity = Affinity()
    for number in range(MAX_CONVERSATIONS + 1):
        affinity.note(str(number), A, 2000, 0.0, 0.0)
    assert affinity.shares("0", 2000, 1.0) == {}
    assert affinity.shares("1", 2000, 1.0) != {}


async def test_the_next_turn_is_expected_to_cost_less_where_the_last_one_was(
    tmp_path: Path, vendors: dict[str, Running]
) -> None:
    rule = RuleSnapshot(
        rule_id=1, name="warm", strategy="cost", priority=1, conditions={"sticky": "prompt_cache"}
    )
    put_snapshot(tmp_path, "routes", {"1": RoutesSnapshot(workspace_id=1, version=1, rules=(rule,))})
    long = [{"role": "system", "content": "word " * 3000}, {"role": "user", "content": "Go on."}]
    async with edge_here(tmp_path, (spec_of(vendors["openai"]),)) as edge:
        for _ in range(2):
            request = {"model": "openai/gpt-5.4-mini", "messages": long}
            assert (await edge.client().post("/v1/chat/completions", json=request)).status_code == 200
        first, second = [call.decision for call in await journalled(edge, 2)]
    assert first is not None
    assert second is not None
    cold, warm = first.candidates[0].cost_usd, second.candidates[0].cost_usd
    assert cold is not None
    assert warm is not None
    assert warm < cold
