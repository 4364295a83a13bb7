"""FirstMatch in CEL: what is refused and where, what is true, and that hostile input is bounded."""

import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest
from fairlead_common.decisions.expressions import (
    MAX_LENGTH,
    VOCABULARY,
    Expression,
    ExpressionError,
    FirstMatch,
    evaluate,
    parse,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

FACTS: dict[str, Any] = {
    "request.model": "gpt-5.4",
    "request.tokens": 900,
    "request.max_tokens": 0,
    "request.stream": True,
    "request.tools": False,
    "request.images": False,
    "request.needs": ["tools"],
    "request.response_format": "text",
    "request.task": "code",
    "request.language": "en",
    "request.user": "",
    "request.workspace": 1,
    "request.metadata": {"team": "search"},
    "request.headers": {},
    "now": datetime(2026, 11, 25, 20, 30, tzinfo=UTC),
    "health": {"openai": "degraded"},
    "p95_ms": {"openai/gpt-5.4": 1800.0},
    "p50_ms": {},
    "ttft_ms": {},
    "error_rate": {},
    "quality": {},
    "price": {},
    "in_flight": {"openai": 7},
    "headroom": {},
    "load": 12,
    "budget.remaining_share": 0.2,
    "budget.remaining_usd": 4.0,
}


def test_the_facts_above_are_the_whole_vocabulary() -> None:
    assert FACTS.keys() == VOCABULARY.keys()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "request.modle == 'a'",
            "at character 8: undeclared reference to 'request.modle'; known are request.model",
        ),
        (
            "request.tokens == 'a'",
            "at character 16: found no matching overload for '_==_' applied to '(int, string)'",
        ),
        ("request.tokens", "gives int, not a condition"),
        (
            "now.getHours('Europe/Berlinn') >= 8",
            "at character 14: there is no time zone 'Europe/Berlinn'; did you mean Europe/Berlin",
        ),
        (
            'request.stream\n&& now.getDayOfWeek("?") == 0',
            'at line 2, character 21: there is no time zone "?"; zones are called as',
        ),
        ("request.stream &&", "at character 18: Syntax error"),
        ("request.stream\n  && nosuch(1)", "at line 2, character 12: undeclared reference to 'nosuch'"),
        ("(" * 30 + "true" + ")" * 30, "nested more than"),
        ("true || " * 300 + "true", f"at most {MAX_LENGTH}"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        parse(text)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("request.model.startsWith('gpt') && request.tokens > 500", True),
        ("'tools' in request.needs", True),
        ("now.getHours('Europe/Berlin') == 21 && now.getDayOfWeek() == 3", True),
        ("health['openai'] == 'degraded'", True),
        ("p95_ms['openai/gpt-5.4'] > 1500.0", True),
        ("in_flight['openai'] < 5", False),
        ("budget.remaining_share < 0.25", True),
        ("'team' in request.metadata && request.metadata['team'] == 'ads'", False),
        ("request.model.matches('^(gpt|o)[0-9.-]+$') // a comment", True),
    ],
)
def test_conditions_over_every_kind_of_fact(text: str, wanted: bool) -> None:
    assert evaluate(parse(text), FACTS).true is wanted


@pytest.mark.parametrize(
    "text",
    [
        "now.getHours('Europe/Berlin') >= 8",
        "now.getHours('-02:30') >= 8 && now.getDayOfWeek(\"UTC\") > 0",
        """request.user == "now.getHours('nowhere')" // now.getHours('nowhere')""",
    ],
)
def test_zones_that_the_evaluator_knows_are_taken_and_nothing_else_is_held_for_one(text: str) -> None:
    assert parse(text).text == text


def test_what_is_unknown_is_not_true_and_says_why() -> None:
    found = evaluate(parse("p95_ms['cohere/command-a'] > 1.0"), FACTS)
    assert not found.true
    assert "cohere/command-a" in (found.error or "")


def test_hostile_expressions_end_quickly_with_an_error_or_an_answer() -> None:
    bomb = parse("'" + "a" * 1500 + "'.matches('(a+)+$')")
    assert evaluate(bomb, FACTS).true  # RE2 is linear
    loops = "[1,2,3,4,5,6,7,8,9]"
    nested = "true"
    for name in "abcdefgh":
        nested = f"{loops}.all({name}, {nested})"
    found = evaluate(parse(nested), FACTS)
    assert not found.true
    assert "budget" in (found.error or "").lower()


@given(
    st.lists(
        st.sampled_from(
            [
                None,
                "request.tokens > 1000",
                "request.stream",
                "!request.stream",
                "p95_ms['x/y'] > 1.0",
                "load == 12",
                "load / 0 > 1",
            ]
        ),
        max_size=40,
    )
)
@settings(deadline=None, max_examples=60)
@example([])
def test_a_table_finds_what_one_by_one_would(texts: list[str | None]) -> None:
    expressions: list[Expression | None] = [None if text is None else parse(text) for text in texts]
    alone = (i for i, each in enumerate(expressions) if each is None or evaluate(each, FACTS).true)
    assert FirstMatch(expressions).first(FACTS) == next(alone, None)


@given(st.text(max_size=200))
@settings(deadline=None, max_examples=300)
def test_any_text_is_refused_or_usable(text: str) -> None:
    with contextlib.suppress(ExpressionError):
        expression = parse(text)
        assert expression.facts <= VOCABULARY.keys()
        evaluate(expression, FACTS)


@pytest.mark.parametrize(
    ("text", "fragile"),
    [
        ("'team' in request.metadata", False),
        ("'team' in request.metadata && request.metadata['team'] == 'x'", False),
        ("'a' in p95_ms && p95_ms['a'] > 2.0 || request.stream", False),
        ("'a' in p95_ms && p95_ms['b'] > 2.0", True),
        ("!('a' in p95_ms) && p95_ms['a'] > 2.0", True),
        ("'a' in p95_ms || p95_ms['a'] > 2.0", True),
        ("request.metadata['team'] == 'x'", True),
    ],
)
def test_a_key_that_is_asked_for_first_cannot_be_missing(text: str, fragile: bool) -> None:
    assert parse(text).fragile is fragile


def test_the_first_true_condition_is_found_whatever_stands_around_it() -> None:
    facts = {"request.tokens": 7, "request.metadata": {}}
    no, yes = "request.tokens > 9", "request.tokens > 5"
    fails = "request.metadata['x'] == 'y'"
    for texts, position in (
        ([no, fails, yes, yes], 2),
        ([fails, no, None, yes], 2),
        ([fails, no], None),
        ([no] * 300 + [yes], 300),
        (["'x' in request.metadata || true", yes], 0),
        ([], None),
    ):
        match = FirstMatch([None if each is None else parse(each) for each in texts])
        assert match.first(facts) == position
    overflowing = [no, "request.tokens * 9223372036854775807 > 0", yes]
    assert FirstMatch([parse(each) for each in overflowing]).first(facts) == 2
