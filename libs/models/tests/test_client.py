"""Our client against simulators of all five vendors: answers, streams, tools, schemas, and every way to fail."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from fairlead_common.outcomes import ErrorClass
from fairlead_models.client import ProviderClient
from fairlead_models.drift import DRIFT
from fairlead_models.errors import ProviderError
from fairlead_models.inbound import openai_chat
from fairlead_models.providers import BUILT_IN, ProviderSpec
from fairlead_models.transport.http1 import Http1Transport
from fairlead_models.transport.protocol import Timeouts
from fairlead_models.unified import ChatRequest, FinishReason
from fairlead_simulator.testing import Launched, launched

MODELS = {
    "openai": "gpt-5.4-mini",
    "anthropic": "claude-haiku-5-5",
    "google": "gemini-3.8-flash",
    "mistral": "mistral-medium-3-5",
    "cohere": "command-a-03-2025",
}
TIMEOUTS = Timeouts(connect_s=5, first_byte_s=20, between_bytes_s=20, total_s=30)
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def request(**more: object) -> ChatRequest:
    body = {"model": "any", "messages": [{"role": "user", "content": "How do I compare providers?"}], **more}
    return openai_chat.parse(json.dumps(body).encode())


class Bench:
    """A simulator and our client of it."""

    def __init__(self, simulator: Launched, client: ProviderClient) -> None:
        self.simulator = simulator
        self.client = client
        self.model = MODELS[simulator.vendor]

    def requests(self) -> list[dict[str, Any]]:
        """The simulator's log of requests."""
        found: list[dict[str, Any]] = self.simulator.control("GET", "/_sim/requests")["requests"]
        return found


@pytest.fixture(scope="module", params=sorted(MODELS))
def simulator(request: pytest.FixtureRequest) -> Iterator[Launched]:
    with launched(request.param) as found:
        yield found


@pytest.fixture
async def bench(simulator: Launched) -> AsyncIterator[Bench]:
    simulator.reset()
    transport = Http1Transport()
    base = simulator.url + ("/v1" if simulator.vendor == "openai" else "")
    spec = ProviderSpec(simulator.vendor, BUILT_IN[simulator.vendor][0], base, "sk-test")
    yield Bench(simulator, ProviderClient(spec, transport))
    await transport.close()


async def collect(
    bench: Bench, asked: ChatRequest, timeouts: Timeouts = TIMEOUTS
) -> tuple[str, FinishReason | None, int | None, str]:
    text, arguments, finish, used = "", "", None, None
    async with bench.client.streaming(asked, bench.model, timeouts) as stream:
        while chunks := await stream.next():
            for chunk in chunks:
                text += chunk.text or ""
                finish = chunk.finish_reason or finish
                used = chunk.usage.output_tokens if chunk.usage else used
                for call in chunk.tool_calls or ():
                    arguments += call.arguments
    return text, finish, used, arguments


async def test_an_answer_and_its_stream_say_the_same(bench: Bench) -> None:
    answer = await bench.client.chat(request(), bench.model, TIMEOUTS)
    choice = answer.response.choices[0]
    assert choice.finish_reason is FinishReason.STOP
    assert choice.text
    assert bench.model in choice.text
    text, finish, used, _ = await collect(bench, request(stream=True))
    assert (text, finish) == (choice.text, FinishReason.STOP)
    assert used == answer.response.usage.output_tokens
    assert answer.response.usage.input_tokens


async def test_limits_tools_and_schemas_survive(bench: Bench) -> None:
    short = await bench.client.chat(request(max_completion_tokens=3), bench.model, TIMEOUTS)
    assert short.response.choices[0].finish_reason is FinishReason.LENGTH
    forced = request(tools=[WEATHER], tool_choice="required")
    called = (await bench.client.chat(forced, bench.model, TIMEOUTS)).response.choices[0]
    assert called.finish_reason is FinishReason.TOOL_CALLS
    assert called.tool_calls[0].name == "get_weather"
    assert set(json.loads(called.tool_calls[0].arguments)) == {"city"}
    _, finish, _, arguments = await collect(bench, forced)
    assert finish is FinishReason.TOOL_CALLS
    assert json.loads(arguments) == json.loads(called.tool_calls[0].arguments)
    schema = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    shaped = (
        await bench.client.chat(request(response_format=wanted), bench.model, TIMEOUTS)
    ).response.choices[0]
    assert isinstance(json.loads(shaped.text or "")["score"], int)


IMAGE = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}


async def test_tool_results_and_images_are_accepted(bench: Bench) -> None:
    call = {
        "id": "call_with_a_long_id",
        "type": "function",
        "function": {"name": "get_weather", "arguments": "{}"},
    }
    shown = [] if bench.simulator.vendor == "cohere" else [IMAGE]
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Look"}, *shown]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_with_a_long_id", "content": '{"temperature": 3}'},
    ]
    answer = await bench.client.chat(request(messages=messages, tools=[WEATHER]), bench.model, TIMEOUTS)
    assert "The tool says" in (answer.response.choices[0].text or "")


async def test_an_image_is_never_sent_to_a_model_without_eyes(bench: Bench) -> None:
    if bench.simulator.vendor != "cohere":
        return
    with pytest.raises(ProviderError) as refused:
        await bench.client.chat(
            request(messages=[{"role": "user", "content": [IMAGE]}]), bench.model, TIMEOUTS
        )
    assert refused.value.error_class is ErrorClass.UNSUPPORTED
    assert refused.value.retryable
    assert bench.requests() == []


async def test_models_are_listed(bench: Bench) -> None:
    assert bench.model in (await bench.client.list_models(TIMEOUTS)).models


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("down", ErrorClass.CONNECT),
        ("auth", ErrorClass.AUTH),
        ("error_500", ErrorClass.SERVER_ERROR),
        ("rate_limited", ErrorClass.RATE_LIMITED),
        ("quota_exhausted", ErrorClass.QUOTA_EXHAUSTED),
        ("overloaded", ErrorClass.OVERLOADED),
        ("unavailable", ErrorClass.OVERLOADED),
        ("bad_key", ErrorClass.AUTH),
        ("forbidden", ErrorClass.AUTH),
        ("timeout", ErrorClass.SERVER_ERROR),
        ("slow_down", ErrorClass.RATE_LIMITED),
        ("capacity", ErrorClass.OVERLOADED),
        ("too_large", ErrorClass.BAD_REQUEST),
        ("bad_gateway", ErrorClass.SERVER_ERROR),
        ("malformed", ErrorClass.MALFORMED),
        ("wrong_types", ErrorClass.MALFORMED),
        ("invalid_utf8", ErrorClass.MALFORMED),
        ("oversized", ErrorClass.MALFORMED),
        ("wrong_content_type", ErrorClass.MALFORMED),
        ("cut", ErrorClass.TRUNCATED),
        ("truncate", ErrorClass.TRUNCATED),
    ],
)
async def test_failures_are_classified(bench: Bench, fault: str, expected: ErrorClass) -> None:
    bench.simulator.fault(fault, retry_after_s=7)
    with pytest.raises(ProviderError) as failed:
        await bench.client.chat(request(), bench.model, TIMEOUTS)
    assert failed.value.error_class is expected
    if fault == "rate_limited":
        assert failed.value.retry_after_s == 7
    bench.simulator.clear()
    bench.simulator.fault(fault, retry_after_s=7)
    with pytest.raises(ProviderError) as failed:
        await collect(bench, request(stream=True))
    assert failed.value.error_class is expected
    assert (failed.value.provider, failed.value.model) == (bench.simulator.vendor, bench.model)


@pytest.mark.parametrize("fault", ["garbage", "empty"])
async def test_a_body_without_an_answer_is_malformed_and_such_a_stream_truncated(
    bench: Bench, fault: str
) -> None:
    bench.simulator.fault(fault)
    with pytest.raises(ProviderError) as failed:
        await bench.client.chat(request(), bench.model, TIMEOUTS)
    assert failed.value.error_class is ErrorClass.MALFORMED
    with pytest.raises(ProviderError) as failed:
        await collect(bench, request(stream=True))
    assert failed.value.error_class is ErrorClass.TRUNCATED


async def test_an_error_with_status_200_is_an_error(bench: Bench) -> None:
    bench.simulator.fault("error_in_200")
    with pytest.raises(ProviderError) as failed:
        await bench.client.chat(request(), bench.model, TIMEOUTS)
    assert failed.value.retryable
    assert failed.value.error_class.counts_against_provider


async def test_new_fields_and_events_are_drift_and_no_obstacle(bench: Bench) -> None:
    DRIFT.take_fresh()
    DRIFT.counts.clear()
    bench.simulator.fault("drift")
    answer = await bench.client.chat(request(), bench.model, TIMEOUTS)
    text, finish, _, _ = await collect(bench, request(stream=True))
    assert (text, finish) == (answer.response.choices[0].text, FinishReason.STOP)
    fresh = DRIFT.take_fresh()
    assert {each.drift.provider for each in fresh} == {bench.client.spec.name}
    wanted = f"{bench.simulator.vendor}:answer.x_simulated_field"
    assert any(each.drift.kind.startswith(wanted) for each in fresh)
    await bench.client.chat(request(), bench.model, TIMEOUTS)
    assert DRIFT.take_fresh() == []


async def test_refused_connections_and_their_return(bench: Bench) -> None:
    await bench.client.chat(request(), bench.model, TIMEOUTS)
    bench.simulator.fault("refuse")
    with pytest.raises(ProviderError) as failed:
        await bench.client.chat(request(), bench.model, TIMEOUTS)
    assert failed.value.error_class is ErrorClass.CONNECT
    bench.simulator.clear()
    assert (await bench.client.chat(request(), bench.model, TIMEOUTS)).status == 200


async def test_stalls_and_stream_errors_are_told_apart(bench: Bench) -> None:
    bench.simulator.fault("stall")
    quick = Timeouts(connect_s=5, first_byte_s=0.2, between_bytes_s=0.2, total_s=30)
    with pytest.raises(ProviderError) as failed:
        await bench.client.chat(request(), bench.model, quick)
    assert failed.value.error_class is ErrorClass.TIMEOUT_FIRST_TOKEN
    with pytest.raises(ProviderError) as failed:
        await collect(bench, request(stream=True), quick)
    assert failed.value.error_class is ErrorClass.TIMEOUT_BETWEEN_TOKENS
    bench.simulator.clear()
    bench.simulator.fault("stream_error")
    with pytest.raises(ProviderError) as failed:
        await collect(bench, request(stream=True))
    assert failed.value.error_class in (ErrorClass.STREAM_ERROR, ErrorClass.OVERLOADED)


async def test_a_caller_who_leaves_ends_the_upstream_call(bench: Bench) -> None:
    bench.simulator.fault("stall")
    task = asyncio.create_task(bench.client.chat(request(), bench.model, TIMEOUTS))
    async with asyncio.timeout(20):
        while not bench.requests():
            await asyncio.sleep(0.01)
        task.cancel()
        while bench.requests()[-1]["outcome"] != "client left":
            await asyncio.sleep(0.01)
