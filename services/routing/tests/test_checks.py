"""What is refused and what is warned of when a rule is written."""

from datetime import UTC, datetime
from typing import Any

import pytest
from fairlead_common.bus.rpc import RpcError
from fairlead_common.operations.routing import RuleIn
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.catalog.entries import built_in
from fairlead_models.providers import BUILT_IN
from fairlead_routing.checks import Checks

CATALOG = Catalog(built_in(datetime(2026, 11, 25, tzinfo=UTC)), BUILT_IN)


def rule(name: str = "new", strategy: str = "cost", **conditions: Any) -> RuleIn:
    return RuleIn(name=name, strategy=strategy, conditions=conditions)


def check(given: RuleIn, catalog: Catalog | None = CATALOG) -> list[str]:
    return Checks(lambda: catalog, {}).check(given, None, [])


def refused(given: RuleIn) -> RpcError:
    with pytest.raises(RpcError) as found:
        check(given)
    assert found.value.status == 422
    return found.value


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"targets": ["opnai/gpt-5.4-mini"]}, "conditions.targets[0]: there is no model or class 'opnai/gpt"),
        ({"targets": ["class:balance"]}, "did you mean class:balanced"),
        ({"targets": ["auto", {"target": "openai/gpt-5.4-mni"}]}, "conditions.targets[1]: there is no model"),
        ({"targets": ["openai/gpt-5.4-mni"]}, "did you mean openai/gpt-5.4-mini"),
        (
            {"providers": ["gemini"]},
            "conditions.providers: there is no provider 'gemini'; did you mean google?",
        ),
        ({"exclude_providers": ["xyzzy"]}, "there is no provider 'xyzzy'; there are "),
    ],
)
def test_names_that_nothing_has_are_refused_with_what_may_be_meant(
    conditions: dict[str, Any], message: str
) -> None:
    error = refused(rule(**conditions))
    assert error.code == "unknown_name"
    assert message in error.message


def test_names_that_are_known_pass_and_none_is_judged_without_a_catalog() -> None:
    known = rule(
        targets=["gpt-5.4-mini", "class:balanced", "auto", "gemini/gemini-3.8-flash"], providers=["google"]
    )
    assert check(known) == []
    assert check(rule(targets=["opnai/gpt-5.4-mini"], providers=["xyzzy"]), catalog=None) == []


def test_facts_of_unknown_names_are_warned_of() -> None:
    text = "p95_ms['openai/gpt-5.4-mni'] > 5.0 || health[\"opnai\"] == 'down' || in_flight['openai'] > 3"
    first, second = check(rule(when=text))
    assert first.startswith(
        "conditions.when: p95_ms has no target (provider/model) 'openai/gpt-5.4-mni'; did you"
    )
    assert second == "conditions.when: health has no provider 'opnai'; did you mean openai?"


@pytest.mark.parametrize(
    ("conditions", "reason"),
    [
        ({"providers": ["openai"], "exclude_providers": ["openai"]}, "the rule excludes this provider"),
        ({"targets": ["class:balanced"], "min_quality": 1}, "is below 1"),
        ({"targets": ["class:balanced"], "max_usd_per_mtok": 0}, "exceeds 0"),
    ],
)
def test_a_rule_that_leaves_nobody_fails_its_trial(conditions: dict[str, Any], reason: str) -> None:
    error = refused(rule("hopeless", **conditions))
    assert error.code == "trial_failed"
    assert "rule 'hopeless' would leave every sample request" in error.message
    assert reason in error.message


@pytest.mark.parametrize(
    "conditions",
    [
        {},
        {"regions": ["eu"]},
        {"models": ["text-embedding-*"]},
        {"models": ["somebody-elses-*"], "providers": ["openai"]},
        {"needs": ["vision"], "min_quality": 0.5},
    ],
)
def test_a_rule_that_serves_somebody_passes(conditions: dict[str, Any]) -> None:
    assert check(rule(**conditions)) == []
