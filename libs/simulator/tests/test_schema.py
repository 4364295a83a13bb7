"""Values made for a JSON Schema, judged by a validator; and what is said of schemas that cannot be used."""

import random
from typing import Any

import pytest
from fairlead_simulator.patterns import matching
from fairlead_simulator.schema import flaw_of, value_of
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]  # no stubs installed

NAMES = st.sampled_from(["city", "count", "tags", "when", "nested"])
TEXTS = st.one_of(
    st.just({"type": "string"}),
    st.builds(
        lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more},
        st.integers(0, 40),
        st.integers(0, 9),
    ),
    st.sampled_from(
        [{"type": "string", "format": name} for name in ("date", "email", "uuid", "ipv4", "uri")]
    ),
    st.sampled_from(
        [{"type": "string", "pattern": p} for p in (r"^[A-Z]{3}-\d{2,4}$", r"^(yes|no)$", r"[^a-c]+x?")]
    ),
)
NUMBERS = st.one_of(
    st.builds(
        lambda kind, low, width: {"type": kind, "minimum": low, "maximum": low + width},
        st.sampled_from(["integer", "number"]),
        st.integers(-50, 50),
        st.integers(0, 20),
    ),
    st.builds(
        lambda low: {"type": "number", "exclusiveMinimum": low, "exclusiveMaximum": low + 0.25},
        st.integers(-9, 9),
    ),
    st.builds(
        lambda low: {"type": "integer", "exclusiveMinimum": low, "multipleOf": 5}, st.integers(-99, 99)
    ),
    st.builds(lambda high: {"type": "integer", "exclusiveMaximum": high}, st.integers(-9, 9)),
    st.builds(lambda high: {"type": "number", "maximum": high}, st.integers(-9, 9)),
)
SIMPLE = st.one_of(
    TEXTS,
    NUMBERS,
    st.sampled_from(
        [{"type": "boolean"}, {"type": "null"}, {"const": {"a": [1]}}, {"enum": ["a", 2, None]}, {}]
    ),
)


def larger(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    properties = st.dictionaries(NAMES, inner, min_size=1, max_size=3)
    return st.one_of(
        properties.map(
            lambda p: {
                "type": "object",
                "properties": p,
                "required": sorted(p),
                "additionalProperties": False,
            }
        ),
        st.builds(
            lambda i, n: {"type": "array", "items": i, "minItems": n, "maxItems": n + 1},
            inner,
            st.integers(0, 4),
        ),
        st.lists(inner, min_size=1, max_size=3).map(lambda options: {"anyOf": options}),
        inner.map(lambda i: {"type": "object", "additionalProperties": i, "minProperties": 2}),
        inner.map(
            lambda i: {"$defs": {"inner": i}, "type": "object", "required": ["x"], "properties": {"x": i}}
        ),
    )


@settings(max_examples=300, deadline=None)
@given(st.recursive(SIMPLE, larger, max_leaves=12), st.integers(0, 99))
def test_the_value_satisfies_the_schema(schema: dict[str, Any], seed: int) -> None:
    found = value_of(schema, random.Random(seed))
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(found)
    assert value_of(schema, random.Random(seed)) == found
    assert flaw_of(schema) is None


def test_recursive_schemas_come_to_an_end() -> None:
    schema = {
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                    "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                },
                "required": ["name", "next", "children"],
                "additionalProperties": False,
            }
        },
        "$ref": "#/$defs/node",
    }
    for seed in range(20):
        Draft202012Validator(schema).validate(value_of(schema, random.Random(seed)))


def test_all_of_is_merged_and_elements_are_distinct() -> None:
    schema = {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"properties": {"b": {"enum": ["x", "y"]}}, "required": ["b"]},
        ]
    }
    Draft202012Validator(schema).validate(value_of(schema, random.Random(1)))
    many = {"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 3, "uniqueItems": True}
    Draft202012Validator(many).validate(value_of(many, random.Random(1)))
    pair = {"type": "array", "prefixItems": [{"const": 1}, {"type": "string"}], "items": False, "minItems": 2}
    Draft202012Validator(pair).validate(value_of(pair, random.Random(1)))


def test_the_dialect_of_gemini_is_understood() -> None:
    schema = {
        "type": "OBJECT",
        "properties": {
            "city": {"type": "STRING"},
            "temperature": {"type": "NUMBER", "minimum": 2, "maximum": 3},
        },
        "required": ["city", "temperature"],
        "propertyOrdering": ["city", "temperature"],
    }
    found = value_of(schema, random.Random(3))
    assert list(found) == ["city", "temperature"]
    assert 2 <= found["temperature"] <= 3


def test_a_pattern_that_cannot_be_walked_is_left_alone() -> None:
    assert matching(r"(?=a)b", random.Random(1)) is None
    assert matching(r"(a)\1", random.Random(1)) is None
    assert matching(r"[", random.Random(1)) is None


@pytest.mark.parametrize(
    ("schema", "flaw"),
    [
        ("object", "the schema is not an object"),
        ({"type": "objekt"}, "the schema has the unknown type 'objekt'"),
        ({"properties": {"a": {"type": "text"}}}, "properties/a has the unknown type 'text'"),
        ({"properties": ["a"]}, "properties is not an object"),
        ({"items": {"required": "a"}}, "'required' of items is not an array"),
        ({"anyOf": [{"enum": []}]}, "'enum' of anyOf/0 is not an array with values"),
        ({"$ref": "#/$defs/x"}, "the schema refers to '#/$defs/x', which is not there"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(schema: Any, flaw: str) -> None:
    assert flaw_of(schema) == flaw
