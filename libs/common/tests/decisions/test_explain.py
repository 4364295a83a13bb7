"""Rules of the past held against what is kept of a request."""

from fairlead_common.decisions.explain import rules_then
from fairlead_common.decisions.record import kept_of, request_of
from fairlead_common.events.calls import Decision

NOON = 1_795_608_000.0
RULES: tuple[tuple[str, dict[str, object]], ...] = (
    ("early", {"when": "now.getHours('UTC') < 6"}),
    ("long", {"min_input_tokens": 500, "metadata": {"team": "ads"}}),
    ("slow", {"when": "p95_ms['openai/a'] > 100.0 && request.user == 'x'"}),
    ("slow and streamed", {"stream": True, "when": "load > 3"}),
    ("rest", {}),
)


def verdicts(decision: Decision) -> list[tuple[bool | None, bool, tuple[str, ...]]]:
    request = request_of(decision, "openai/a", 1, stream=False)
    found = rules_then(RULES, request, kept_of(decision), NOON, "rest")
    return [(each.applies, each.decides, each.reasons) for each in found]


def test_each_rule_applies_or_not_or_cannot_be_told() -> None:
    lost = "when: speaks of p95_ms, request.user, which is not kept with a call"
    assert verdicts(Decision(tokens=900, metadata={"team": "ads"})) == [
        (False, False, ("when: false",)),
        (True, False, ("min_input_tokens: true", "metadata: true")),
        (None, False, (lost,)),
        (False, False, ("stream: false", "when: speaks of load, which is not kept with a call")),
        (True, True, ("no conditions",)),
    ]


def test_metadata_that_was_too_long_to_be_kept_leaves_its_conditions_open() -> None:
    found = verdicts(Decision(tokens=900, metadata=None))
    assert found[1][:2] == (None, False)
