"""Scores of single answers: gates, likeness to a reference, JSON."""

import json

import pytest
from fairlead_abtest.domain.scoring import (
    Given,
    SchemaError,
    last_number,
    likeness,
    normalised,
    number_of,
    rouge_l,
    score,
    validator,
)
from hypothesis import given, settings
from hypothesis import strategies as st

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("text", "reference", "quality"),
    [
        ("Paris", "Paris", 1.0),
        ("  the PARIS! ", "Paris", 1.0),
        ("The capital of France is Paris.", "Paris", 1.0),
        ("The capital of France is London.", "Paris", 0.0),
        ("It is in Parish Street", "Paris", 0.0),
        ("Crème brûlée", "creme brulee", 1.0),
        ("So 3 + 4 = 7, and twice that is 14.", "14", 1.0),
        ("First 14, then on reflection 15.", "14", 0.0),
        ("I have 142 of them", "42", 0.0),
        ("That makes $1,234.50 in all.", "1234.5", 1.0),
        ("42%", "42", 1.0),
        ("The range is 3-5", "5", 1.0),
        ("It is -5", "-5", 1.0),
        ("about 6.02e23", "6.02e23", 1.0),
        ("the quick brown fox", "the quick red fox", pytest.approx(2 * 2 / 6)),
        ("```\nParis\n```", "Paris", 1.0),
    ],
)
def test_likeness_to_a_reference(text: str, reference: str, quality: float) -> None:
    assert score(Given(text, "stop", reference=reference)).quality == quality


@pytest.mark.parametrize(
    ("given_", "gate"),
    [
        (Given("Par", "length", reference="Par"), "gate.ended@1"),
        (Given("", "stop", reference="Paris"), "gate.not_empty@1"),
        (Given(" \n", "stop", reference="Paris"), "gate.not_empty@1"),
        (Given("Paris", "content_filter", reference="Paris"), "gate.ended@1"),
        (Given("Paris", "stop", refusal=True, reference="Paris"), "gate.not_refused@1"),
        (Given("I cannot help with that.", "stop", reference="help"), "gate.not_refused@1"),
        (Given("I'm sorry, but I can't assist with Paris.", "stop", reference="Paris"), "gate.not_refused@1"),
        (Given("As an AI model I am not able to say Paris", "stop", reference="Paris"), "gate.not_refused@1"),
    ],
)
def test_a_gate_that_fails_makes_the_quality_zero(given_: Given, gate: str) -> None:
    found = score(given_)
    assert found.quality == 0.0
    assert found.components[gate] == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "I can't believe it: Paris.",
        "I will not lie: Paris",
        "Sorry for the wait. Paris.",
        "Paris cannot help you",
    ],
)
def test_what_only_sounds_like_a_refusal_is_none(text: str) -> None:
    assert score(Given(text, "stop", reference="Paris")).quality == 1.0


def test_without_anything_to_judge_by_there_is_no_quality() -> None:
    found = score(Given("I cannot help with that.", "length"))
    assert found.quality is None
    assert found.components == {"gate.ended@1": 0.0, "gate.not_empty@1": 1.0, "gate.not_refused@1": 0.0}


def test_a_tool_call_is_not_empty() -> None:
    assert score(Given("", "tool_calls", tool_called=True)).components["gate.not_empty@1"] == 1.0


@pytest.mark.parametrize(
    ("text", "schema", "quality", "components"),
    [
        ('{"name": "Ada", "age": 36}', PERSON, 1.0, {"json.valid@1": 1.0, "json.schema@1": 1.0}),
        ('{"name": "Ada", "age": -1}', PERSON, 0.0, {"json.valid@1": 1.0, "json.schema@1": 0.0}),
        ('{"name": "Ada"', PERSON, 0.0, {"json.valid@1": 0.0, "json.schema@1": 0.0}),
        ('{"anything": 1}', None, 1.0, {"json.valid@1": 1.0}),
        ("[1]", None, 0.0, {"json.valid@1": 0.0}),
    ],
)
def test_json(
    text: str, schema: dict[str, object] | None, quality: float, components: dict[str, float]
) -> None:
    found = score(Given(text, "stop", wants_json=True, schema=schema))
    assert found.quality == quality
    assert components.items() <= found.components.items()


def test_json_is_compared_as_json() -> None:
    reference = '{"age": 36, "name": "Ada"}'
    right = Given('{ "name":"Ada",\n"age":36 }', "stop", reference=reference, wants_json=True, schema=PERSON)
    assert score(right).quality == 1.0
    wrong = Given('{"name": "Ada", "age": 37}', "stop", reference=reference, wants_json=True, schema=PERSON)
    found = score(wrong)
    assert found.components["match.json@1"] == 0.0
    assert found.quality is not None
    assert found.quality < 1.0


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"$ref": "http://127.0.0.1:1/x.json"},
        {"$ref": "file:///etc/passwd"},
        {"pattern": "("},
    ],
)
def test_a_schema_that_is_wrong_or_elsewhere_is_refused(schema: dict[str, object]) -> None:
    with pytest.raises(SchemaError):
        validator(schema)


def test_numbers() -> None:
    assert [number_of(each) for each in ("7", "$1,000", "50%", "-2.5", "7 apples", "", "1.2.3")] == [
        7.0,
        1000.0,
        50.0,
        -2.5,
        None,
        None,
        None,
    ]
    assert last_number("none here") is None


def test_rouge_l_is_symmetric_and_bounded() -> None:
    assert rouge_l("a b c".split(), "a c".split()) == pytest.approx(0.8)
    assert rouge_l([], ["a"]) == rouge_l(["a"], []) == 0.0
    assert likeness("The same, words!", "same words") == 1.0
    assert likeness("", "") == 1.0


@settings(deadline=None)
@given(
    st.text(max_size=200),
    st.one_of(st.none(), st.text(min_size=1, max_size=50)),
    st.sampled_from([None, "stop", "length", "tool_calls", "content_filter", "error"]),
    st.booleans(),
    st.sampled_from([None, PERSON, {}]),
)
def test_every_answer_gets_a_score_between_0_and_1_or_none(
    text: str, reference: str | None, finish: str | None, wants_json: bool, schema: dict[str, object] | None
) -> None:
    found = score(Given(text, finish, reference=reference, wants_json=wants_json, schema=schema))
    assert (found.quality is None) == (reference is None and not wants_json)
    assert found.quality is None or 0.0 <= found.quality <= 1.0
    assert all(0.0 <= value <= 1.0 for value in found.components.values())
    assert all("@" in name for name in found.components)


@settings(deadline=None)
@given(st.text(max_size=100))
def test_a_text_is_like_itself(text: str) -> None:
    assert likeness(text, text) == 1.0
    assert normalised(normalised(text)) == normalised(text)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_what_is_equal_as_json_is_a_match(value: object) -> None:
    given_ = Given(json.dumps(value, indent=1), "stop", reference=json.dumps(value), wants_json=True)
    assert score(given_).components.get("match.json@1", 1.0) == 1.0
