"""Late first tokens: when a second target is asked as well, who answers, and what becomes of the other."""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from fairlead_common.decisions.targets import Target
from fairlead_common.outcomes import CallState, ErrorClass
from fairlead_edge.dataplane.budget import RetryBudget
from fairlead_edge.dataplane.hedging import BURST, REMEMBERED_S, Hedging
from fairlead_simulator.testing import Running

from tests.support.edge import RunningEdge, edge_here, journalled, spec_of
from tests.support.waiting import until

CHAT = "/v1/chat/completions"
BODY: dict[str, Any] = {
    "model": "openai/gpt-5.4-mini",
    "messages": [{"role": "user", "content": "How do I compare providers?"}],
    "stream": True,
}
SHARE = 0.05
LATE, OTHER, THIRD = Target("openai", "a"), Target("google", "b"), Target("mistral", "c")

Vendors = Mapping[str, Running]


def hedging(share: float = SHARE, streams: int = 1000, retries: RetryBudget | None = None) -> Hedging:
    """With what so many streams have saved up."""
    found = Hedging(share, 1.5, {OTHER: 0.2}.get, retries or RetryBudget())
    for _ in range(streams):
        found.earn()
    return found


# the decision


def test_a_target_is_late_after_its_own_p95_or_else_after_the_setting() -> None:
    assert (hedging().patience_s(OTHER), hedging().patience_s(LATE)) == (0.2, 1.5)
    assert hedging(share=0).patience_s(OTHER) is None


@pytest.mark.parametrize("streams", [19, 20, 59, 10_000])
def test_no_more_hedges_than_the_share_of_the_streams(streams: int) -> None:
    found = hedging(streams=streams)
    granted = 0
    while found.granted(LATE, 0):
        granted += 1
    assert granted == min(BURST, int(streams * SHARE + 1e-9))


def test_no_hedges_while_the_retry_budget_is_spent() -> None:
    retries = RetryBudget(extra=3)
    found = hedging(retries=retries)
    assert not found.granted(LATE, 0)
    retries.extra = 2
    assert found.granted(LATE, 0)


def test_no_hedges_while_most_others_are_late() -> None:
    found = hedging()
    found.note(LATE, late=True, now=0)
    assert found.granted(LATE, 0), "that one target is late is what hedges are for"
    found.note(OTHER, late=True, now=0)
    assert not found.granted(LATE, 1)
    found.note(THIRD, late=False, now=1)
    assert found.granted(LATE, 2), "half of them is not most"
    found.note(THIRD, late=True, now=2)
    assert not found.granted(LATE, 3)
    assert found.granted(LATE, 3 + REMEMBERED_S), "long ago"


# in a request


def edge_of(
    tmp_path: Path, vendors: Vendors, after_ms: float = 50
) -> AbstractAsyncContextManager[RunningEdge]:
    """In front of OpenAI, and of Google as its stand-in."""
    specs = tuple(spec_of(vendors[name]) for name in ("openai", "google"))
    return edge_here(tmp_path, specs, hedge_share=SHARE, hedge_after_ms=after_ms)


async def saved_up(edge: RunningEdge, hedges: int = 1) -> int:
    """Streams enough for so many hedges; how many those are."""
    streams = round(hedges / SHARE)
    client = edge.client()
    for _ in range(streams):
        assert (await client.post(CHAT, json=BODY)).status_code == 200
    return streams


async def left(simulator: Running) -> None:
    """The simulator has seen that we closed the connection."""
    async with asyncio.timeout(20):
        while (await simulator.requests())[-1]["outcome"] != "client left":
            await asyncio.sleep(0.02)


async def asked(simulator: Running) -> None:
    """The simulator has our request and keeps it waiting."""
    async with asyncio.timeout(20):
        while not (seen := await simulator.requests()) or seen[-1]["outcome"] in ("answered", "client left"):
            await asyncio.sleep(0.02)


async def test_the_second_target_answers_when_the_first_is_late(tmp_path: Path, vendors: Vendors) -> None:
    async with edge_of(tmp_path, vendors) as edge:
        streams = await saved_up(edge)
        await vendors["openai"].fault("slow_first_token", delay_s=60)
        answer = await edge.client().post(CHAT, json=BODY)
        assert answer.headers["x-fairlead-provider"] == "google"
        assert answer.text.endswith("data: [DONE]\n\n")
        call = (await journalled(edge, streams + 1))[-1]
        assert (call.state, call.provider, call.failover) == (CallState.OK, "google", True)
        late, hedge = call.attempts
        assert (late.provider, late.reason, late.error_class) == ("openai", "primary", ErrorClass.CALLER_GONE)
        assert (hedge.provider, hedge.reason, hedge.error_class) == ("google", "hedge", None)
        assert (late.estimated, late.output_tokens, hedge.estimated) == (True, 0, False)
        assert late.cost_usd is not None
        assert hedge.cost_usd is not None
        assert call.cost_usd == pytest.approx(late.cost_usd + hedge.cost_usd)
        assert call.output_tokens == hedge.output_tokens
        await left(vendors["openai"])
        assert edge.fleet.in_flight.total() == 0
        assert not edge.fleet.breakers.states[Target("openai", "gpt-5.4-mini")].failures_in_row
        metrics = (await edge.client().get("/metrics")).text
        assert 'fairlead_hedges_total{won="true"} 1.0' in metrics


async def test_the_first_target_may_still_win(tmp_path: Path, vendors: Vendors) -> None:
    async with edge_of(tmp_path, vendors) as edge:
        streams = await saved_up(edge)
        await vendors["openai"].fault("slow_first_token", delay_s=0.6)
        await vendors["google"].fault("slow_first_token", delay_s=60)
        answer = await edge.client().post(CHAT, json=BODY)
        assert answer.headers["x-fairlead-provider"] == "openai"
        call = (await journalled(edge, streams + 1))[-1]
        assert (call.state, call.provider, call.failover) == (CallState.OK, "openai", False)
        assert [attempt.error_class for attempt in call.attempts] == [None, ErrorClass.CALLER_GONE]
        await left(vendors["google"])
        assert edge.fleet.in_flight.total() == 0


@pytest.mark.parametrize("broken", ["openai", "google"])
async def test_when_one_of_two_fails_the_other_is_waited_for(
    tmp_path: Path, vendors: Vendors, broken: str
) -> None:
    async with edge_of(tmp_path, vendors) as edge:
        streams = await saved_up(edge)
        await vendors["openai"].fault("slow_first_token", delay_s=0.4)
        await vendors["google"].fault("slow_first_token", delay_s=0.1 if broken == "google" else 0.8)
        await vendors[broken].fault("error_500")
        answer = await edge.client().post(CHAT, json=BODY)
        assert answer.text.endswith("data: [DONE]\n\n")
        call = (await journalled(edge, streams + 1))[-1]
        assert call.state is CallState.OK
        assert call.provider != broken
        failed = [attempt.provider for attempt in call.attempts if attempt.error_class]
        assert failed == [broken]


async def test_without_budget_the_first_is_waited_for(tmp_path: Path, vendors: Vendors) -> None:
    async with edge_of(tmp_path, vendors) as edge:
        await vendors["openai"].fault("slow_first_token", delay_s=0.3)
        answer = await edge.client().post(CHAT, json=BODY)
        assert answer.headers["x-fairlead-attempts"] == "1"


async def test_failover_off_means_no_hedge(tmp_path: Path, vendors: Vendors) -> None:
    async with edge_of(tmp_path, vendors) as edge:
        await saved_up(edge)
        await vendors["openai"].fault("slow_first_token", delay_s=0.3)
        answer = await edge.client(**{"x-fairlead-failover": "off"}).post(CHAT, json=BODY)
        assert (answer.headers["x-fairlead-provider"], answer.headers["x-fairlead-attempts"]) == (
            "openai",
            "1",
        )


async def test_a_caller_who_leaves_ends_both(tmp_path: Path, vendors: Vendors) -> None:
    async with edge_of(tmp_path, vendors) as edge:
        streams = await saved_up(edge)
        for name in ("openai", "google"):
            await vendors[name].fault("slow_first_token", delay_s=60)
        asking = asyncio.create_task(edge.client().post(CHAT, json=BODY))
        await until(lambda: edge.fleet.in_flight.total() == 2)
        for name in ("openai", "google"):
            await asked(vendors[name])
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        call = (await journalled(edge, streams + 1))[-1]
        assert (call.state, len(call.attempts)) == (CallState.ABORTED, 2)
        assert {attempt.error_class for attempt in call.attempts} == {ErrorClass.CALLER_GONE}
        assert all(attempt.estimated for attempt in call.attempts)
        for name in ("openai", "google"):
            await left(vendors[name])
        assert edge.fleet.in_flight.total() == 0
