"""What callers limit for a single request: time and cost, over all attempts."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fairlead_common.decisions.cost_limit import CostLimit
from fairlead_common.decisions.targets import Target
from fairlead_common.outcomes import CallState, ErrorClass
from fairlead_common.snapshots.drills import DrillFault, LiveDrill
from fairlead_edge.dataplane.spending import Spending
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.catalog.entries import built_in
from fairlead_models.providers import BUILT_IN
from fairlead_models.transport.protocol import Timeouts
from fairlead_simulator.testing import Running

from tests.support.edge import RunningEdge, edge_here, journalled, spec_of

CHAT = "/v1/chat/completions"
COST, TIMEOUT = "x-fairlead-max-cost-usd", "x-fairlead-timeout-ms"
MODEL = "openai/gpt-5.4-mini"
TEN_TOKENS: list[dict[str, str]] = [{"role": "user", "content": "How do I compare providers?"}]

Vendors = Mapping[str, Running]


def ask(model: str = MODEL, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": TEN_TOKENS, "max_completion_tokens": 1000, **more}


def specs(vendors: Vendors, *names: str, **timeouts: float) -> Any:
    patient = Timeouts(connect_s=10, first_byte_s=30, between_bytes_s=30, total_s=60)
    return tuple(spec_of(vendors[name], replace(patient, **timeouts)) for name in names)


def price_of_output(edge: RunningEdge, target: str) -> float:
    provider, _, model = target.partition("/")
    return edge.fleet.catalog(1).output_prices[Target(provider, model)]


@pytest.mark.parametrize(
    ("header", "value"),
    [
        (COST, "0"),
        (COST, "-1"),
        (COST, "nan"),
        (COST, "inf"),
        (COST, "cheap"),
        (COST, ""),
        (TIMEOUT, "0"),
        (TIMEOUT, "-5"),
        (TIMEOUT, "1.5"),
        (TIMEOUT, "1e3"),
        (TIMEOUT, "²"),
        (TIMEOUT, "9" * 12),
        (TIMEOUT, ""),
    ],
)
async def test_a_limit_that_cannot_be_meant_is_refused(
    tmp_path: Path, vendors: Vendors, header: str, value: str
) -> None:
    async with edge_here(tmp_path, specs(vendors, "openai")) as edge:
        client = edge.client()
        for path, body in ((CHAT, ask()), ("/v1/embeddings", {"model": "any", "input": "x"})):
            answer = await client.post(path, json=body, headers={header.encode(): value.encode()})
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, header)
        assert {call.state for call in await journalled(edge, 2)} == {CallState.REJECTED}


# cost


@pytest.mark.parametrize("stream", [False, True])
async def test_a_target_beyond_the_limit_is_passed_over(
    tmp_path: Path, vendors: Vendors, stream: bool
) -> None:
    async with edge_here(tmp_path, specs(vendors, "openai", "google")) as edge:
        dear = price_of_output(edge, MODEL) * 1000
        client = edge.client()
        enough = await client.post(CHAT, json=ask(stream=stream), headers={COST: str(dear * 1.1)})
        assert enough.headers["x-fairlead-provider"] == "openai"
        less = await client.post(CHAT, json=ask(stream=stream), headers={COST: str(dear * 0.9)})
        assert less.status_code == 200
        assert f"{less.headers['x-fairlead-provider']}/{less.headers['x-fairlead-model']}" != MODEL
        decision = edge.calls()[-1].decision
        assert decision is not None
        (why,) = [each.reason for each in decision.excluded if each.target == MODEL]
        assert why.startswith("its cost of up to 0.00")
        assert why.endswith(f"exceeds the caller's limit of {dear * 0.9:g}")
        cost = edge.calls()[-1].cost_usd
        assert cost is not None
        assert cost < dear * 0.9


@pytest.mark.parametrize("path", [CHAT, "/v1/messages", "/v1/responses", "/v1/embeddings"])
async def test_when_everybody_is_beyond_the_limit_the_caller_is_told(
    tmp_path: Path, vendors: Vendors, path: str
) -> None:
    body: dict[str, Any] = {"model": MODEL, "messages": TEN_TOKENS, "max_tokens": 1000}
    if path == "/v1/responses":
        body = {"model": MODEL, "input": "Hi"}
    elif path == "/v1/embeddings":
        body = {"model": "openai/text-embedding-3-small", "input": ["one", "two"]}
    async with edge_here(tmp_path, specs(vendors, "openai", "google")) as edge:
        answer = await edge.client().post(path, json=body, headers={COST: "0.000000001"})
        assert answer.status_code == 400
        assert "exceeds the caller's limit of 1e-09" in answer.json()["error"]["message"]
        (call,) = await journalled(edge, 1)
        assert (call.state, call.error_code, call.attempts) == (
            CallState.REJECTED,
            "max_cost_exceeded",
            (),
        )


async def test_a_model_without_a_price_is_not_had_for_a_limit(tmp_path: Path, vendors: Vendors) -> None:
    async with edge_here(tmp_path, specs(vendors, "openai")) as edge:
        answer = await edge.client().post(CHAT, json=ask("openai/gpt-of-dreams"), headers={COST: "5"})
        assert answer.status_code == 400
        assert "its price is unknown" in answer.json()["error"]["message"]


async def test_the_limit_holds_for_all_attempts_together(tmp_path: Path, vendors: Vendors) -> None:
    """A time-out may have been billed, a refusal not: after the one a stand-in is too dear, after the other not."""
    async with edge_here(tmp_path, specs(vendors, "openai", "google"), whole_answer_timeout_s=0.3) as edge:
        await vendors["openai"].fault("error_500")
        other = (await edge.client().post(CHAT, json=ask())).json()["model"]
        dearest = 1000 * max(price_of_output(edge, MODEL), price_of_output(edge, other))
        client = edge.client(**{COST: str(dearest * 1.1)})
        refused = await client.post(CHAT, json=ask())
        assert (refused.status_code, refused.headers["x-fairlead-attempts"]) == (200, "2")
        await vendors["openai"].clear()
        await vendors["openai"].fault("stall", after_chunks=0)
        late = await client.post(CHAT, json=ask())
        assert (late.status_code, late.headers["x-fairlead-attempts"]) == (503, "1")
        assert f"{other}: its cost of up to" in late.json()["error"]["message"]
        assert "before it, exceeds the caller's limit" in late.json()["error"]["message"]


def test_a_further_attempt_is_held_against_the_limit_by_the_corrected_estimate() -> None:
    """A target that counts twice the tokens that were estimated costs, and has cost, twice as much for what goes in."""
    target = Target("openai", "gpt-5.4-mini")
    catalog = Catalog(built_in(datetime(2026, 11, 23, tzinfo=UTC)), BUILT_IN)
    price = catalog.price(target)
    assert price is not None
    timed_out = {"provider": "openai", "model": target.model, "error_class": "timeout_total"}
    for attempts, factor in (([], 1.5), ([timed_out], 3.0)):
        limit = CostLimit(factor * price.input * 1000, 1000, 0)
        assert Spending(limit, attempts, catalog.estimated_price).why_not(target) is None
        corrected = catalog.corrected({target: 2.0}).estimated_price
        assert "exceeds the caller's limit" in str(Spending(limit, attempts, corrected).why_not(target))


# time


@pytest.mark.parametrize("stream", [False, True])
async def test_the_callers_deadline_holds_for_all_attempts(
    tmp_path: Path, vendors: Vendors, stream: bool
) -> None:
    for name in ("openai", "google"):
        await vendors[name].fault("stall", after_chunks=0)
    providers = specs(vendors, "openai", "google", first_byte_s=0.3)
    async with edge_here(tmp_path, providers, whole_answer_timeout_s=0.3) as edge:
        answer = await edge.client(**{TIMEOUT: "500"}).post(CHAT, json=ask(stream=stream))
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")
        assert "within 0.5 s" in answer.json()["error"]["message"]
        (call,) = await journalled(edge, 1)
        assert [attempt.error_class for attempt in call.attempts] == [
            ErrorClass.TIMEOUT_FIRST_TOKEN,
            ErrorClass.TIMEOUT_TOTAL,
        ]
        assert [attempt.speaks_of_provider for attempt in call.attempts] == [True, False]
        assert len(edge.fleet.breakers.states) == 1, (
            "the second was given no fair time: nothing is held against it"
        )


async def test_the_callers_deadline_ends_a_stream_with_an_error(tmp_path: Path, vendors: Vendors) -> None:
    await vendors["openai"].fault("stall", after_chunks=3)
    async with edge_here(tmp_path, specs(vendors, "openai", "google")) as edge:
        answer = await edge.client(**{TIMEOUT: "400"}).post(CHAT, json=ask(stream=True))
        assert answer.status_code == 200
        assert '"code":"timeout_total"' in answer.text
        assert "[DONE]" not in answer.text
        (call,) = await journalled(edge, 1)
        assert (call.state, len(call.attempts)) == (CallState.TRUNCATED, 1)
        assert not edge.fleet.breakers.states


async def test_a_stream_that_the_callers_deadline_cuts_is_not_held_against_its_provider(
    tmp_path: Path, vendors: Vendors
) -> None:
    """Its first token came in good time; the provider's row would have given it more for the rest."""
    await vendors["openai"].fault("stall", after_chunks=3)
    async with edge_here(tmp_path, specs(vendors, "openai", "google", first_byte_s=0.5)) as edge:
        await edge.client(**{TIMEOUT: "800"}).post(CHAT, json=ask(stream=True))
        (call,) = await journalled(edge, 1)
        (attempt,) = call.attempts
        assert (attempt.error_class, attempt.speaks_of_provider) == (ErrorClass.TIMEOUT_TOTAL, False)
        assert not edge.fleet.breakers.states


@pytest.mark.parametrize(("only", "held"), [(1, False), (None, True)])
async def test_a_drill_of_one_workspace_is_held_against_nobody(
    tmp_path: Path, vendors: Vendors, only: int | None, held: bool
) -> None:
    now = datetime.now(UTC)
    drill = LiveDrill(
        drill_id="d1",
        provider="openai",
        fault=DrillFault.SERVER_ERROR,
        share=1.0,
        only_workspace_id=only,
        reason="a test",
        started_by="key",
        started_at=now - timedelta(seconds=10),
        ends_at=now + timedelta(seconds=100),
    )
    async with edge_here(tmp_path, specs(vendors, "openai", "google")) as edge:
        edge.fleet.drills = (drill,)
        answer = await edge.client().post(CHAT, json=ask())
        assert (answer.status_code, answer.headers["x-fairlead-drill"]) == (200, "d1")
        (call,) = await journalled(edge, 1)
        assert [attempt.speaks_of_provider for attempt in call.attempts] == [held, True]
        assert (Target(*MODEL.split("/")) in edge.fleet.breakers.states) == held


async def test_a_caller_cannot_have_more_time_than_the_edge_gives(tmp_path: Path, vendors: Vendors) -> None:
    await vendors["openai"].fault("stall", after_chunks=0)
    async with edge_here(tmp_path, specs(vendors, "openai"), request_timeout_s=0.3) as edge:
        answer = await edge.client(**{TIMEOUT: "60000"}).post(CHAT, json=ask())
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")
