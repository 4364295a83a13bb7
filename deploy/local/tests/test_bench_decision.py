"""`fairlead bench decision`: it measures every strategy, in a scenario whose last rule decides."""

import json
from pathlib import Path

import pytest
from fairlead import cli
from fairlead.bench import scenario
from fairlead.bench.decision import Decider
from fairlead_common.decisions.strategies import SCORES


def test_every_figure_is_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    options = ["--decisions", "50", "--growth", "200", "--json", str(out)]
    assert cli.main(["bench", "decision", *options]) == 0
    printed = capsys.readouterr().out
    assert "growth over 200 decisions" in printed
    found = json.loads(out.read_text())
    assert found["strategies"].keys() == SCORES.keys()
    assert found["clusters"].keys() == {"300", "4000"}
    assert 0 < found["asked_through_nats"]["p50_us"] <= found["asked_through_nats"]["p99_us"]


@pytest.mark.parametrize("strategy", SCORES)
def test_the_last_rule_decides_and_four_providers_are_tried(strategy: str) -> None:
    decider = Decider(strategy, seed=1)
    for request, draw in decider.requests[:50]:
        plan = decider.decide(request, draw)
        assert (plan.rule, plan.strategy) == ("rule 99", strategy)
        assert len({step.target.provider for step in plan.steps}) == 4


def test_the_same_seed_makes_the_same_scenario() -> None:
    one, other = scenario.candidates(10, 7), scenario.candidates(10, 7)
    assert one == other
    assert scenario.requests(10, 7) == scenario.requests(10, 7)
    assert scenario.view(one, 7) == scenario.view(other, 7)
