"""Streams that break in the middle and go on at another provider, as the vendors' official clients see them."""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from anthropic import AsyncAnthropic
from fairlead_common.access import WorkspaceSettings
from fairlead_common.events.calls import Call
from fairlead_common.outcomes import CallState, ErrorClass
from fairlead_common.snapshots.routes import RoutesSnapshot, RuleSnapshot, Strategy
from fairlead_models.transport.protocol import Timeouts
from fairlead_simulator.reciting import counting
from fairlead_simulator.testing import Running
from openai import AsyncOpenAI

from tests.support.edge import CALLER, RunningEdge, edge_here, journalled, spec_of
from tests.support.waiting import until

CONTINUE = WorkspaceSettings(stream_failure="continue")
COUNT: Any = [{"role": "user", "content": "Please simulate counting to 90"}]
EXPECTED = counting(90)
CITY: Any = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
FUNCTION: Any = {"type": "function", "name": "get_weather", "parameters": CITY, "strict": True}
TOOL: Any = {"type": "function", "function": {"name": "get_weather", "parameters": CITY}}
MODELS = {
    "openai": "openai/gpt-5.4-mini",
    "anthropic": "anthropic/claude-haiku-5-5",
    "google": "google/gemini-3.8-flash",
    "mistral": "mistral/mistral-medium-3-5",
    "cohere": "cohere/command-a-03-2025",
}

Vendors = Mapping[str, Running]


def edge_of(tmp_path: Path, vendors: Vendors, *names: str) -> AbstractAsyncContextManager[RunningEdge]:
    """An edge in front of these vendors, whose workspace 1 wants broken answers continued."""
    return edge_here(tmp_path, tuple(spec_of(vendors[name]) for name in names), workspace=CONTINUE)


async def chat(edge: RunningEdge, model: str, **more: Any) -> tuple[str, Any]:
    """(text, last chunk that has a finish reason) by OpenAI's client."""
    async with AsyncOpenAI(base_url=f"{edge.url}/v1", api_key=CALLER, max_retries=0) as client:
        asked = {"model": model, "messages": COUNT, "stream_options": {"include_usage": True}, **more}
        chunks = [chunk async for chunk in await client.chat.completions.create(**asked, stream=True)]
    assert len({chunk.id for chunk in chunks}) == 1
    told = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    (last,) = [chunk for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason]
    assert chunks[-1].usage is not None
    return "".join(told), last


async def messages(edge: RunningEdge, model: str) -> tuple[str, Any]:
    """(text, message_delta event) by Anthropic's client, which checks the order of the events."""
    async with (
        AsyncAnthropic(base_url=edge.url, api_key=CALLER, max_retries=0) as client,
        client.messages.stream(model=model, messages=COUNT, max_tokens=4000) as stream,
    ):
        events = [event async for event in stream]
        final = await stream.get_final_message()
    assert [block.type for block in final.content] == ["text"]
    assert final.stop_reason == "end_turn"
    (end,) = [event for event in events if event.type == "message_delta"]
    return final.content[0].text, end  # type: ignore[union-attr]


async def responses(edge: RunningEdge, model: str) -> tuple[str, Any]:
    """(text, response) by OpenAI's client, which puts the response together from the events."""
    async with (
        AsyncOpenAI(base_url=f"{edge.url}/v1", api_key=CALLER, max_retries=0) as client,
        client.responses.stream(model=model, input=COUNT[0]["content"], tools=[FUNCTION]) as stream,
    ):
        events = [event async for event in stream]
        final = await stream.get_final_response()
    (done,) = [event.text for event in events if event.type == "response.output_text.done"]
    assert done == final.output_text
    assert [event.sequence_number for event in events] == list(range(len(events)))
    return final.output_text, final


def checked(call: Call, *providers: str) -> Call:
    """The call was answered in parts by these providers, and each part is accounted for."""
    assert [attempt.provider for attempt in call.attempts] == list(providers)
    assert (call.state, call.continued, call.provider) == (CallState.OK, len(providers) - 1, providers[-1])
    assert [attempt.reason for attempt in call.attempts[1:]] == ["continuation"] * call.continued
    assert [attempt.error_class is None for attempt in call.attempts] == [False] * call.continued + [True]
    assert call.input_tokens == sum(attempt.input_tokens or 0 for attempt in call.attempts)
    assert call.output_tokens == sum(attempt.output_tokens or 0 for attempt in call.attempts)
    assert all(attempt.output_tokens for attempt in call.attempts)
    costs = [attempt.cost_usd for attempt in call.attempts]
    assert call.cost_usd == (None if None in costs else pytest.approx(sum(each or 0 for each in costs)))
    return call


@pytest.mark.parametrize("kind", ["cut", "truncate", "stall", "stream_error"])
@pytest.mark.parametrize(
    ("ask", "first", "second"),
    [
        (chat, "openai", "mistral"),
        (chat, "google", "anthropic"),
        (messages, "anthropic", "google"),
        (messages, "cohere", "mistral"),
        (responses, "openai", "anthropic"),
        (responses, "mistral", "openai"),
    ],
)
async def test_another_provider_goes_on_without_a_seam(
    tmp_path: Path, vendors: Vendors, ask: Any, first: str, second: str, kind: str
) -> None:
    if kind == "stream_error":  # a first token that comes with the error is not shown: let tokens come before
        await vendors[first].control("PUT", "/_sim/latency", {"between_tokens": 0.02})
    await vendors[first].fault(kind, after_chunks=25)
    hasty = Timeouts(
        connect_s=10, first_byte_s=30, between_bytes_s=0.5 if kind == "stall" else 30, total_s=60
    )
    specs = tuple(spec_of(vendors[name], hasty) for name in (first, second))
    async with edge_here(tmp_path, specs, workspace=CONTINUE) as edge:
        text, last = await ask(edge, MODELS[first])
        assert text == EXPECTED
        (call,) = await journalled(edge, 1)
        checked(call, first, second)
        assert last.fairlead == {"continued_by": [f"{second}/{call.model}"]}
        assert call.attempts[0].estimated
        assert not call.attempts[1].estimated
        assert call.ttft_ms is not None
        assert call.attempts[1].ttft_ms is not None
        assert call.ttft_ms < call.attempts[1].offset_ms


async def test_an_answer_survives_two_breaks(tmp_path: Path, vendors: Vendors) -> None:
    for name in ("openai", "google"):
        await vendors[name].fault("cut", after_chunks=20)
    async with edge_of(tmp_path, vendors, "openai", "google", "mistral") as edge:
        text, last = await chat(edge, MODELS["openai"])
        assert text == EXPECTED
        (call,) = await journalled(edge, 1)
        first, second, third = (attempt.provider for attempt in call.attempts)
        checked(call, first, second, third)
        assert last.fairlead == {
            "continued_by": [f"{attempt.provider}/{attempt.model}" for attempt in call.attempts[1:]]
        }


async def test_when_nobody_goes_on_the_break_is_said(tmp_path: Path, vendors: Vendors) -> None:
    await vendors["openai"].fault("cut", after_chunks=20)
    await vendors["google"].fault("error_500")
    async with edge_of(tmp_path, vendors, "openai", "google") as edge:
        with pytest.raises(openai.APIError, match="The stream broke"):
            await chat(edge, MODELS["openai"])
        (call,) = await journalled(edge, 1)
        assert (call.state, call.continued, call.provider) == (CallState.TRUNCATED, 0, "openai")
        assert call.attempts[0].error_class is ErrorClass.TRUNCATED
        assert call.attempts[0].output_tokens
        assert call.cost_usd == call.attempts[0].cost_usd


@pytest.mark.parametrize(
    ("model", "chunks", "more", "headers"),
    [
        (MODELS["openai"], 2, {"tools": [TOOL], "tool_choice": "required"}, {}),
        (MODELS["openai"], 9, {"n": 2}, {}),
        (MODELS["openai"], 9, {}, {"x-fairlead-failover": "off"}),
        ("cohere/command-a-reasoning-08-2025", 2, {"reasoning_effort": "high"}, {}),
    ],
    ids=["tool call", "two choices", "failover off", "thinking"],
)
async def test_what_no_second_model_can_take_up_ends_with_an_error(
    tmp_path: Path,
    vendors: Vendors,
    model: str,
    chunks: int,
    more: dict[str, Any],
    headers: dict[str, str],
) -> None:
    provider = model.partition("/")[0]
    await vendors[provider].fault("cut", after_chunks=chunks)
    async with edge_of(tmp_path, vendors, provider, "mistral", "google") as edge:
        with pytest.raises(openai.APIError, match="The stream broke"):
            await chat(edge, model, extra_headers=headers, **more)
        (call,) = await journalled(edge, 1)
        assert (call.state, call.continued, len(call.attempts)) == (CallState.TRUNCATED, 0, 1)
        assert call.attempts[0].estimated


async def test_without_the_setting_a_break_is_said(tmp_path: Path, vendors: Vendors) -> None:
    await vendors["anthropic"].fault("cut", after_chunks=20)
    specs = tuple(spec_of(vendors[name]) for name in ("anthropic", "google"))
    async with edge_here(tmp_path, specs) as edge:
        with pytest.raises(anthropic.APIError, match="The stream broke"):
            await messages(edge, MODELS["anthropic"])
        (call,) = await journalled(edge, 1)
        assert (call.state, len(call.attempts)) == (CallState.TRUNCATED, 1)
        assert call.attempts[0].estimated


async def test_a_caller_who_leaves_during_a_continuation_ends_it(tmp_path: Path, vendors: Vendors) -> None:
    await vendors["openai"].fault("cut", after_chunks=20)
    await vendors["google"].fault("stall", after_chunks=6)
    async with edge_of(tmp_path, vendors, "openai", "google") as edge:
        client = edge.client()
        body = {"model": MODELS["openai"], "messages": COUNT, "stream": True}
        async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
            async for line in answer.aiter_lines():
                if line.startswith(": fairlead"):
                    break
        (call,) = await journalled(edge, 1)
        assert (call.state, call.continued) == (CallState.ABORTED, 1)
        assert [attempt.error_class for attempt in call.attempts] == [
            ErrorClass.TRUNCATED,
            ErrorClass.CALLER_GONE,
        ]
        assert all(attempt.estimated and attempt.output_tokens for attempt in call.attempts)
        assert edge.fleet.in_flight.total() == 0
        async with asyncio.timeout(20):
            while (await vendors["google"].requests())[-1]["outcome"] != "client left":
                await asyncio.sleep(0.02)


async def test_a_caller_who_leaves_while_nobody_has_gone_on_yet_ends_it_too(
    tmp_path: Path, vendors: Vendors
) -> None:
    await vendors["openai"].fault("cut", after_chunks=20)
    await vendors["google"].fault("stall", after_chunks=0)
    async with edge_of(tmp_path, vendors, "openai", "google") as edge:
        body = {"model": MODELS["openai"], "messages": COUNT, "stream": True}
        asking = asyncio.create_task(edge.client().post("/v1/chat/completions", json=body))
        await until(lambda: edge.fleet.in_flight["google"] == 1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        (call,) = await journalled(edge, 1)
        assert (call.state, call.continued) == (CallState.ABORTED, 0)
        assert [attempt.reason for attempt in call.attempts] == ["primary", "continuation"]
        assert call.output_tokens == call.attempts[0].output_tokens
        assert edge.fleet.in_flight.total() == 0


async def test_a_model_that_takes_prefill_goes_on_right_behind_it(tmp_path: Path, vendors: Vendors) -> None:
    await vendors["openai"].fault("cut", after_chunks=25)
    rule = RuleSnapshot(
        rule_id=1,
        name="the better one first",
        strategy=Strategy.QUALITY,
        priority=1,
        conditions={"targets": [MODELS["openai"], "anthropic/claude-haiku-4-5"], "spread": 0},
    )
    specs = tuple(spec_of(vendors[name]) for name in ("openai", "anthropic"))
    routes = RoutesSnapshot(workspace_id=1, version=1, rules=(rule,))
    async with edge_here(tmp_path, specs, workspace=CONTINUE, routes=routes) as edge:
        text, _ = await chat(edge, "auto")
        assert text == EXPECTED
        (call,) = await journalled(edge, 1)
        assert checked(call, "openai", "anthropic").model == "claude-haiku-4-5"
