"""From what was asked for to a test that can run, and every way to ask for what cannot."""

from typing import Any

import pytest
from fairlead_abtest.domain.arms import ArmError, resolve_arms
from fairlead_abtest.domain.design import Design, DesignError, design, scored_prompts
from fairlead_common.operations.abtest import Arm, TestIn
from fairlead_common.outcomes import ErrorClass
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.catalog.entries import Entry, Pricing
from fairlead_models.errors import ProviderError
from fairlead_models.unified import ChatRequest, Unhonoured
from fairlead_models.wires.protocol import EncodedRequest
from pydantic import ValidationError

PRICE = Pricing(input_usd_per_mtok=1.0, output_usd_per_mtok=10.0)
CATALOG = Catalog(
    [
        Entry(provider="openai", model="gpt-small", pricing=PRICE),
        Entry(provider="openai", model="gpt-mid", classes=("balanced",), pricing=PRICE, aliases=("gpt",)),
        Entry(provider="anthropic", model="claude", classes=("balanced",), pricing=PRICE),
        Entry(provider="google", model="gemini-x", pricing=PRICE),
        Entry(provider="vllm", model="shared"),
        Entry(provider="ollama", model="shared"),
    ],
    ("openai", "anthropic", "google", "vllm", "ollama", "empty"),
)
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}


def encode(arm: Arm, request: ChatRequest) -> EncodedRequest:
    if arm.provider == "anthropic" and request.n is None and request.seed is not None:
        return EncodedRequest("POST", "/", {}, b"", (Unhonoured("seed", "there is none"),))
    if arm.provider == "google" and request.tools:
        raise ProviderError(ErrorClass.UNSUPPORTED, "no tools here")
    return EncodedRequest("POST", "/", {}, b"")


def made(**fields: Any) -> Design:
    given = {"name": "t", "prompt": "Why?", "providers": ["openai", "anthropic"], **fields}
    return design(TestIn.model_validate(given), CATALOG, encode)


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        (["openai", "anthropic"], ["openai/gpt-mid", "anthropic/claude"]),
        (["openai/gpt-small", "gpt"], ["openai/gpt-small", "openai/gpt-mid"]),
        (["claude", "gemini"], ["anthropic/claude", "google/gemini-x"]),
        (["vllm/anything-else", "ollama/shared"], ["vllm/anything-else", "ollama/shared"]),
    ],
)
def test_arms(asked: list[str], names: list[str]) -> None:
    found = resolve_arms(asked, CATALOG)
    assert [arm.name for arm in found] == names
    assert [arm.asked for arm in found] == asked


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["openai", "openai/gpt-mid"], "'openai/gpt-mid' is openai/gpt-mid, which 'openai' is already"),
        (["openai", "shared"], "'shared' stands for 2 models; name one of them: vllm/shared, ollama/shared"),
        (["openai", "mistral"], "'mistral' is neither a configured provider (anthropic, empty, google"),
        (["claud", "openai"], "Did you mean claude"),
        (["empty", "openai"], "no model of 'empty' is known; name one: empty/<model>"),
    ],
)
def test_arms_that_cannot_be_tested(asked: list[str], message: str) -> None:
    with pytest.raises(ArmError) as refused:
        resolve_arms(asked, CATALOG)
    assert message in str(refused.value)
    assert str(refused.value).startswith("providers[")


def test_a_plain_test_is_completed_with_defaults() -> None:
    found = made(params={"max_tokens": 100}, repeats=3)
    assert (found.metric, found.minimum_effect, found.first_text) == ("latency", 0.1, "Why?")
    assert len(found.jobs) == 6
    each = 6e-6 + 100 * 10e-6  # 6 tokens in, 100 out
    assert found.job_costs == pytest.approx([each] * 6)
    assert found.estimated_cost_usd == pytest.approx(6 * each)
    assert found.warnings == []


def test_a_reference_makes_quality_the_metric() -> None:
    found = made(prompt={"messages": [{"role": "user", "content": "2+2?"}], "reference": "4"})
    assert (found.metric, found.minimum_effect) == ("quality", 0.05)
    prompts = TestIn.model_validate(
        {
            "name": "t",
            "providers": ["a", "b"],
            "prompts": ["x", {"messages": [{"role": "user", "content": "y"}], "reference": "z"}],
        }
    ).all_prompts()
    assert scored_prompts(prompts, {}) == {1}
    assert scored_prompts(prompts, {"response_format": SCHEMA}) == {0, 1}


def test_what_is_unknown_or_not_honoured_is_said() -> None:
    assert "assumes 500 tokens an answer" in made().warnings[0]
    assert made(params={"seed": 1, "max_tokens": 5}).warnings == [
        "anthropic/claude does not honour seed: there is none"
    ]
    found = made(providers=["openai", "vllm/shared"])
    assert found.estimated_cost_usd is None
    assert "the price of vllm/shared is unknown" in found.warnings[0]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"params": {"model": "x"}}, "params.model cannot be set: the arms say"),
        ({"params": {"n": 2}}, "params.n cannot be set: set the test's own field 'repeats'"),
        ({"params": {"min_p": 2}}, "params.min_p: not known"),
        ({"params": {"temperature": 3}}, "params: 'temperature' must be a number from 0 to 2"),
        ({"params": {"response_format": {"type": "xml"}}}, "params: 'response_format.type' must be"),
        (
            {
                "params": {
                    "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "no"}}}
                }
            },
            "params.response_format.json_schema.schema cannot be used",
        ),
        (
            {"prompts": ["ok", {"messages": [{"role": "boss", "content": "x"}]}], "prompt": None},
            "prompts[1]: 'messages[0].role'",
        ),
        ({"metric": "quality"}, "metric 'quality' needs something to judge by"),
        (
            {"metric": "cost", "providers": ["openai", "vllm/shared"]},
            "metric 'cost' cannot be measured: the price of vllm/shared",
        ),
        (
            {"max_cost_usd": 1, "providers": ["openai", "vllm/shared"]},
            "max_cost_usd cannot be kept: the price of vllm/shared",
        ),
        (
            {"max_cost_usd": 0.001},
            "estimated at 0.010012 USD for 2 calls, more than its max_cost_usd of 0.001",
        ),
        (
            {
                "providers": ["openai", "google"],
                "params": {"tools": [{"type": "function", "function": {"name": "f"}}]},
            },
            "prompts[0]: google/gemini-x cannot take it: no tools here",
        ),
    ],
)
def test_a_test_that_cannot_be_run_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(DesignError) as refused:
        made(**fields)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"prompt": None}, "give either 'prompt' or a non-empty list 'prompts'"),
        ({"prompts": ["x"]}, "give either 'prompt' or a non-empty list 'prompts'"),
        ({"providers": ["openai"]}, "at least 2 items"),
        ({"providers": [f"p{i}" for i in range(11)]}, "at most 10 items"),
        ({"name": ""}, "match pattern"),
        ({"name": "a\nb"}, "match pattern"),
        ({"repeats": 0}, "greater than or equal to 1"),
        ({"alpha": 0.7}, "less than 0.5"),
        ({"minimum_effect": 1.5}, "less than 1"),
        ({"unknown": 1}, "Extra inputs are not permitted"),
        ({"prompt": "x\x00y"}, "prompt holds the character NUL"),
        (
            {"prompt": {"messages": [{"role": "user", "content": "\ud800"}]}},
            "prompt holds what JSON cannot carry",
        ),
        ({"prompt": "x" * 200_001}, "prompt has 200067 bytes, and at most 200000 are allowed"),
        ({"prompt": None, "prompts": ["x" * 190_000] * 16}, "a test has at most 3000000"),
        ({"params": {"stop": ["x" * 60_000]}}, "params has 60014 bytes, and at most 50000 are allowed"),
        ({"params": {"seed": float("nan")}}, "params holds what JSON cannot carry"),
        (
            {"prompt": None, "prompts": ["x" * 25_000] * 100, "providers": ["a"] * 10, "repeats": 10},
            "a test has at most 200000000",
        ),
        (
            {"prompt": None, "prompts": ["x"] * 2000, "repeats": 3},
            "makes 12000 calls; a test has at most 10000",
        ),
    ],
)
def test_a_test_of_the_wrong_shape_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TestIn.model_validate({"name": "t", "prompt": "Why?", "providers": ["openai", "anthropic"], **fields})
    assert message in str(refused.value)
