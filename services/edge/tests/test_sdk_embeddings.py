"""The official OpenAI SDK asks the edge for vectors of all vendors' models that make some: both encodings, lists, errors."""

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import openai
import pytest
from fairlead_common.outcomes import CallState
from fairlead_simulator.testing import Running
from openai import AsyncOpenAI

from tests.support.edge import CALLER, RunningEdge, edge_here, journalled, spec_of

MODELS = {
    "openai/text-embedding-3-small": 1536,
    "google/gemini-embedding-001": 3072,
    "mistral/mistral-embed": 1024,
    "cohere/embed-v4.0": 1536,
}
TEXTS = ["a fairlead leads the line", "a fairlead leads the rope", "quarterly revenue in euros"]


@pytest.fixture
async def edge(tmp_path: Path, vendors: dict[str, Running]) -> AsyncIterator[RunningEdge]:
    async with edge_here(tmp_path, tuple(spec_of(each) for each in vendors.values())) as found:
        yield found


@pytest.fixture
async def client(edge: RunningEdge) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{edge.url}/v1", api_key=CALLER, max_retries=0) as found:
        yield found


def dot(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("model", MODELS)
async def test_both_encodings_hold_the_same_vectors_in_the_order_of_the_inputs(
    edge: RunningEdge, client: AsyncOpenAI, model: str
) -> None:
    packed = await client.embeddings.create(model=model, input=TEXTS)  # the SDK asks for base64 by itself
    plain = await client.embeddings.create(model=model, input=TEXTS, encoding_format="float")
    assert (packed.object, packed.model) == ("list", model)
    assert [each.index for each in packed.data] == [0, 1, 2]
    for one, other in zip(packed.data, plain.data, strict=True):
        assert len(one.embedding) == MODELS[model]
        assert one.embedding == pytest.approx(other.embedding, abs=1e-6)
    near, far = (dot(one.embedding, other.embedding) for one, other in pairwise(plain.data))
    assert near > far
    assert plain.usage.prompt_tokens > 0
    alone = await client.embeddings.create(model=model, input=TEXTS[1], encoding_format="float")
    assert alone.data[0].embedding == pytest.approx(plain.data[1].embedding, abs=1e-6)
    calls = await journalled(edge, 3)
    assert {call.state for call in calls} == {CallState.OK}
    assert all(call.input_tokens for call in calls)


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("openai/text-embedding-3-small", 256),
        ("google/gemini-embedding-001", 768),
        ("cohere/embed-v4.0", 512),
        ("mistral/codestral-embed", 512),
    ],
)
async def test_vectors_can_be_shorter(client: AsyncOpenAI, model: str, size: int) -> None:
    found = await client.embeddings.create(model=model, input=TEXTS[:2], dimensions=size)
    assert [len(each.embedding) for each in found.data] == [size, size]


async def test_tokens_go_to_a_model_that_reads_them(client: AsyncOpenAI) -> None:
    found = await client.embeddings.create(model="openai/text-embedding-3-small", input=[[1, 2, 3], [4]])
    assert len(found.data) == 2
    with pytest.raises(openai.BadRequestError, match="token"):
        await client.embeddings.create(model="mistral/mistral-embed", input=[[1, 2, 3]])


@pytest.mark.parametrize(
    ("asked", "error", "param"),
    [
        ({"input": []}, openai.BadRequestError, "input"),
        ({"input": ""}, openai.BadRequestError, "input"),
        ({"input": ["x", ""]}, openai.BadRequestError, "input"),
        ({"input": ["x"] * 2049}, openai.BadRequestError, "input"),
        ({"input": "x", "encoding_format": "hex"}, openai.BadRequestError, "encoding_format"),
        ({"input": "x", "dimensions": 0}, openai.BadRequestError, "dimensions"),
        ({"input": "x", "dimensions": 4000}, openai.BadRequestError, "dimensions"),
        ({"input": "x", "model": "no-such-model"}, openai.NotFoundError, "model"),
        ({"input": "x", "model": "openai/gpt-5.4-mini"}, openai.APIStatusError, None),
    ],
)
async def test_errors_are_the_sdks_own(
    client: AsyncOpenAI, asked: dict[str, Any], error: type[openai.APIStatusError], param: str | None
) -> None:
    with pytest.raises(error) as failed:
        await client.embeddings.create(**{"model": "openai/text-embedding-3-small", **asked})
    assert failed.value.status_code < 500
    assert failed.value.param == param


async def test_a_provider_that_is_down_is_not_replaced_by_another_model(
    client: AsyncOpenAI, vendors: dict[str, Running]
) -> None:
    await vendors["openai"].fault("error_500")
    with pytest.raises(openai.InternalServerError) as failed:
        await client.embeddings.create(model="openai/text-embedding-3-small", input="x")
    assert failed.value.code == "no_provider_available"


@pytest.mark.parametrize("model", ["google/gemini-embedding-001", "cohere/embed-v4.0"])
async def test_more_inputs_than_a_provider_takes_at_once(
    edge: RunningEdge, client: AsyncOpenAI, model: str
) -> None:
    texts = [f"entry {number} of the log" for number in range(210)]
    found = await client.embeddings.create(model=model, input=texts, encoding_format="float")
    assert [each.index for each in found.data] == list(range(len(texts)))
    last = await client.embeddings.create(model=model, input=texts[-1:], encoding_format="float")
    assert found.data[-1].embedding == pytest.approx(last.data[0].embedding, abs=1e-6)
    assert found.usage.prompt_tokens > 100 * last.usage.prompt_tokens
    calls = await journalled(edge, 2)
    assert [len(call.attempts) for call in calls] == [1, 1]
