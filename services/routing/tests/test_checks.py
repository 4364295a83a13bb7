"""What is refused and what is warned of when a rule is written."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from fairlead_common.bus.rpc import RpcError
from fairlead_common.decisions.expressions import ExpressionError, evaluate, parse
from fairlead_common.decisions.targets import Target
from fairlead_common.operations.routing import RuleIn
from fairlead_common.snapshots.publisher import SnapshotPublisher
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.catalog.entries import built_in
from fairlead_models.catalog.workspaces import own_snapshot
from fairlead_models.providers import BUILT_IN
from fairlead_routing.checks import Checks
from fairlead_routing.domain.witnesses import MAX_TRIALS, search
from fairlead_routing.tables import CatalogNow
from hypothesis import given, settings
from hypothesis import strategies as st
from nats.aio.client import Client

from tests.support.waiting import until

CATALOG = Catalog(built_in(datetime(2026, 11, 25, tzinfo=UTC)), BUILT_IN)


def rule(name: str = "new", strategy: str = "cost", **conditions: Any) -> RuleIn:
    return RuleIn(name=name, strategy=strategy, conditions=conditions)


def check(given: RuleIn, catalog: Catalog | None = CATALOG, others: tuple[RuleIn, ...] = ()) -> list[str]:
    rows: Any = [{**each.model_dump(), "id": number} for number, each in enumerate(others, 1)]
    return Checks(lambda _: catalog, {}).check(1, given, None, rows)


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
    ("strategy", "conditions", "warnings"),
    [
        ("latency", {"weights": {"cost": 1}}, ["conditions.weights means nothing to the strategy latency"]),
        ("latency", {"sticky": "prompt_cache"}, ["conditions.sticky: the prompt cache counts in the cost"]),
        (
            "balanced",
            {"weights": {"quality": 1}, "sticky": "prompt_cache"},
            ["conditions.sticky: the prompt"],
        ),
        ("balanced", {"weights": {"cost": 1}, "sticky": "prompt_cache"}, []),
        ("cost", {"sticky": "prompt_cache"}, []),
    ],
)
def test_what_means_nothing_to_the_strategy_is_warned_of(
    strategy: str, conditions: dict[str, Any], warnings: list[str]
) -> None:
    found = check(rule(strategy=strategy, **conditions))
    assert [text[: len(start)] for text, start in zip(found, warnings, strict=True)] == warnings


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


@pytest.mark.parametrize(
    "conditions",
    [
        {"when": "request.tokens > 5 && request.tokens < 3"},
        {"when": "request.tokens < 0"},
        {"when": "request.response_format == 'json'"},
        {"when": "health['openai'] == 'dwon'"},
        {"when": "budget.remaining_share > 1.5"},
        {"when": "request.model in ['a', 'b'] && !(request.model == 'a' || 'b' == request.model)"},
        {"when": "now.getHours('Europe/Berlin') >= 20 && now.getHours('Europe/Berlin') < 6"},
        {"when": "error_rate['openai/gpt-5.4-mini'] > 0.1 && error_rate['openai/gpt-5.4-mini'] < 0.05"},
        {"when": "!('team' in request.metadata)", "metadata": {"team": "ads"}},
        {"stream": True, "when": "!request.stream // always whole"},
        {"min_input_tokens": 100, "when": "request.tokens <= 99"},
    ],
)
def test_conditions_that_are_never_true_are_refused(conditions: dict[str, Any]) -> None:
    error = refused(rule("odd", **conditions))
    assert error.code == "never_true"
    assert error.message.startswith("rule 'odd' (place 1) can never apply")


@pytest.mark.parametrize(
    "conditions",
    [
        {"when": "request.tokens > 5 && request.tokens < 7"},
        {"when": "error_rate['openai/gpt-5.4-mini'] > 0.05 && error_rate['openai/gpt-5.4-mini'] < 0.1"},
        {"when": "now.getHours('Europe/Berlin') >= 20 && now.getDayOfWeek('Europe/Berlin') == 0"},
        {"when": "request.metadata.team == 'ads' || has(request.metadata.tier)"},
        {
            "when": "request.model.startsWith('gpt') && request.model.endsWith('mini') && request.tokens * 2 > 7"
        },
        {"models": ["gpt-*", "o3"], "needs": ["tools"], "when": "request.tools || load > 3"},
        {"when": "request.task == 'code' && request.language != 'en' && request.user == 'ada'"},
        {"when": "true"},
    ],
)
def test_conditions_that_can_be_true_pass(conditions: dict[str, Any]) -> None:
    assert check(rule(**conditions)) == []


def test_what_cannot_be_settled_is_warned_of() -> None:
    (warning,) = check(rule("odd", when="request.tokens * request.tokens == 7"))
    assert warning.startswith("rule 'odd' (place 1) can never apply")
    assert "as far as" in warning


SHADOWS = [
    ({}, {"stream": True}, True),
    ({"when": "request.tokens >= 10"}, {"when": "request.tokens > 10 && request.stream"}, True),
    ({"models": ["gpt-*"]}, {"models": ["gpt-*"], "min_input_tokens": 5}, True),
    ({"when": "request.tokens >= 10"}, {"when": "request.tokens >= 9"}, False),
    ({"stream": True}, {}, False),
    ({"models": ["gpt-*"]}, {"models": ["gpt-5*"]}, True),
    ({"models": ["gpt-5*"]}, {"models": ["gpt-*"]}, False),
    ({"when": "now.getHours('UTC') < 6"}, {"when": "now.getHours('UTC') == 3"}, True),
    ({"when": "now.getHours('UTC') < 6"}, {"when": "now.getHours('UTC') <= 6"}, False),
]


@pytest.mark.parametrize(("earlier", "later", "hidden"), SHADOWS)
def test_a_rule_that_an_earlier_one_hides_is_warned_of(
    earlier: dict[str, Any], later: dict[str, Any], hidden: bool
) -> None:
    first = rule("first", **earlier)
    warnings = check(rule("second", **later), others=(rule("other", when="load > 1000"), first))
    assert [
        each.startswith("rule 'second' (place 3) never decides: rule 'first' (place 2)") for each in warnings
    ] == ([True] if hidden else [])
    last = rule("second", **later).model_copy(update={"priority": 200})
    warnings = check(first, others=(last,))
    assert [each.startswith("rule 'second' (place 2) never decides: rule 'first'") for each in warnings] == (
        [True] if hidden else []
    )
    off = first.model_copy(update={"enabled": False})
    assert check(rule("second", **later), others=(off,)) == []


def test_a_rule_that_earlier_ones_hide_together_is_warned_of() -> None:
    others = (rule("streams", stream=True), rule("whole", stream=False))
    (warning,) = check(rule("rest", when="request.tokens > 5"), others=others)
    assert warning == (
        "rule 'rest' (place 3) never decides: rule 'streams' (place 1), rule 'whole' (place 2) before it apply"
        " together whenever it would"
    )
    assert (
        check(rule("rest", when="request.tokens > 5"), others=(others[0], rule("long", min_input_tokens=7)))
        == []
    )


expressions = st.recursive(
    st.sampled_from(
        [
            "request.stream",
            "request.tokens > 10",
            "request.tokens <= 10",
            "request.tokens == 12",
            "request.task == 'code'",
            "'tools' in request.needs",
            "request.metadata['a'] == 'x'",
            "p95_ms['x/y'] > 5.0",
        ]
    ),
    lambda inner: (
        st.builds("({} && {})".format, inner, inner)
        | st.builds("({} || {})".format, inner, inner)
        | st.builds("!{}".format, inner.map("({})".format))
    ),
    max_leaves=5,
)
facts = st.fixed_dictionaries(
    {
        "request.stream": st.booleans(),
        "request.tokens": st.integers(0, 20),
        "request.task": st.sampled_from(["code", "chat"]),
        "request.needs": st.sampled_from([[], ["tools"], ["vision"]]),
        "request.metadata": st.sampled_from([{}, {"a": "x"}, {"a": "y"}]),
        "p95_ms": st.sampled_from([{}, {"x/y": 4.0}, {"x/y": 6.0}]),
    }
)


@given(expressions, expressions, facts)
@settings(deadline=None)
def test_what_is_certain_is_true(one: str, other: str, given_: dict[str, Any]) -> None:
    wanted, hiding = parse(one), parse(other)
    found = search(wanted, [hiding])
    if found.witness is not None:
        assert evaluate(wanted, found.witness).true
        assert not evaluate(hiding, found.witness).true
    elif found.certain:
        assert not evaluate(wanted, given_).true or evaluate(hiding, given_).true


@given(st.text(alphabet="!&|()<>=.,'\"[] abnrt019_intokesuqgh/*?:", max_size=120) | st.text(max_size=60))
@settings(deadline=None, max_examples=200)
def test_any_condition_is_judged_within_bounds(text: str) -> None:
    try:
        expression = parse(text)
    except ExpressionError:
        return
    assert search(expression).tried <= MAX_TRIALS


@pytest.mark.parametrize(
    "text",
    [
        " && ".join(f"request.metadata['k{i}'] != 'v{i}'" for i in range(40)),
        "request.model in [" + ",".join(f"'m{i}'" for i in range(250)) + "]",
        "request.model.matches('" + "(a+)+" * 200 + "$')",
        "[1,2,3].all(x, [1,2,3].all(y, [1,2,3].exists(z, x + y + z == request.tokens)))",
        "request.model == '" + "a" * 1900 + "'",
        "(" * 20 + "request.stream" + ")" * 20,
    ],
)
def test_hostile_conditions_are_judged_within_bounds(text: str) -> None:
    assert search(parse(text), [parse(text)]).tried <= MAX_TRIALS


async def test_names_that_a_workspace_declares_are_known_in_it_alone(nats_client: Client) -> None:
    catalogs = CatalogNow()
    assert catalogs.of(2) is None
    following = asyncio.create_task(catalogs.follower.follow(nats_client))
    own = CATALOG.entries[Target("openai", "gpt-5.4-mini")].model_copy(update={"classes": ("house",)})
    publisher = SnapshotPublisher(nats_client, "catalog")
    await publisher.put("models", orjson.dumps(CATALOG.to_snapshot()))
    await publisher.put("workspace.2", orjson.dumps(own_snapshot([own])))
    await until(lambda: "models" in catalogs.follower and "workspace.2" in catalogs.follower)
    following.cancel()
    checks, house = Checks(catalogs.of, {}), rule(targets=["class:house"])
    assert checks.check(2, house, None, []) == []
    with pytest.raises(RpcError, match="there is no model or class 'class:house'"):
        checks.check(1, house, None, [])
