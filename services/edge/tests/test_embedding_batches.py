"""An embeddings call that a provider takes in several requests: what was answered is paid for, though a later one fails."""

import asyncio
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from fairlead_common.outcomes import CallState
from fairlead_edge.http.messages import Request, ResponseWriter
from fairlead_models.prices import list_price
from fairlead_models.providers import ProviderSpec

from tests.support.edge import edge_here, journalled
from tests.support.upstream import upstream
from tests.support.waiting import until

TOKENS = 7
"""Billed for each request."""
BODY = {"model": "cohere/embed-v4.0", "input": [f"entry {number}" for number in range(100)]}


@dataclass
class Cohere:
    """Takes 96 inputs at once, answers the first request, and does not answer the second: 500, or nothing for ever."""

    silent: bool = False
    asked: list[int] = field(default_factory=list)

    async def handle(self, request: Request, writer: ResponseWriter) -> None:
        """Answer as ``upstream`` wants it."""
        inputs = json.loads(request.body)["texts"]
        self.asked.append(len(inputs))
        if len(self.asked) == 2 and self.silent:
            await asyncio.Event().wait()
        if len(self.asked) == 2:
            writer.send(500, {}, b'{"message": "oops"}')
            return
        found = {
            "id": "e",
            "embeddings": {"float": [[0.5, 0.5] for _ in inputs]},
            "meta": {"billed_units": {"input_tokens": TOKENS}},
        }
        writer.send(200, {}, orjson.dumps(found))


def cohere(spec: ProviderSpec) -> ProviderSpec:
    return replace(spec, name="cohere", wire="cohere")


@pytest.fixture
def usd() -> float:
    """What a request costs."""
    price = list_price("cohere", "embed-v4.0", datetime.now(UTC))
    assert price is not None
    return price.input * TOKENS


async def test_a_batch_that_fails_leaves_the_cost_of_those_before_it(tmp_path: Path, usd: float) -> None:
    provider = Cohere()
    async with upstream(provider.handle) as spec, edge_here(tmp_path, (cohere(spec),)) as edge:
        answer = await edge.client().post("/v1/embeddings", json=BODY)
        assert (answer.status_code, len(answer.json()["data"])) == (200, 100)
        assert provider.asked == [96, 4, 96, 4]
        (call,) = await journalled(edge, 1)
        assert [attempt.input_tokens for attempt in call.attempts] == [TOKENS, 2 * TOKENS]
        assert [attempt.cost_usd for attempt in call.attempts] == pytest.approx([usd, 2 * usd])
        assert call.cost_usd == pytest.approx(3 * usd)
        assert call.input_tokens == 2 * TOKENS, "of the answer"


async def test_a_caller_who_leaves_between_batches_has_paid_for_those_that_came(
    tmp_path: Path, usd: float
) -> None:
    provider = Cohere(silent=True)
    async with upstream(provider.handle) as spec, edge_here(tmp_path, (cohere(spec),)) as edge:
        asking = asyncio.create_task(edge.client().post("/v1/embeddings", json=BODY))
        await until(lambda: len(provider.asked) == 2)
        asking.cancel()
        (call,) = await journalled(edge, 1)
        assert call.state is CallState.ABORTED
        assert call.cost_usd == pytest.approx(usd)
