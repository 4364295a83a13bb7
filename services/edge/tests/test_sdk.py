"""The official OpenAI SDK as a caller, synchronous and asynchronous, for models of all five vendors."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import openai
import pytest
from fairlead_simulator.testing import Running
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from pydantic import BaseModel

from tests.support.edge import CALLER, RunningEdge, edge_here, spec_of

MODELS = (
    "openai/gpt-5.4-mini",
    "anthropic/claude-haiku-5-5",
    "google/gemini-3.8-flash",
    "mistral/mistral-medium-3-5",
    "cohere/command-a-03-2025",
)
HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "How do I compare providers?"}]
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
Result = TypeVar("Result")


class Verdict(BaseModel):
    """What a structured answer is parsed into."""

    winner: str
    score: int
    reasons: list[str]


@pytest.fixture
async def edge(tmp_path: Path, vendors: dict[str, Running]) -> AsyncIterator[RunningEdge]:
    async with edge_here(tmp_path, tuple(spec_of(each) for each in vendors.values())) as found:
        yield found


@pytest.fixture
async def client(edge: RunningEdge) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{edge.url}/v1", api_key=CALLER, max_retries=0) as found:
        yield found


async def in_thread(edge: RunningEdge, work: Callable[[OpenAI], Result]) -> Result:
    """``work`` with the synchronous client."""

    def run() -> Result:
        with OpenAI(base_url=f"{edge.url}/v1", api_key=CALLER, max_retries=0) as client:
            return work(client)

    return await asyncio.to_thread(run)


@pytest.mark.parametrize("model", MODELS)
async def test_answers_and_streams(edge: RunningEdge, client: AsyncOpenAI, model: str) -> None:
    answer = await client.chat.completions.create(model=model, messages=HELLO)
    text = answer.choices[0].message.content
    assert (answer.model, answer.choices[0].finish_reason, answer.object) == (
        model,
        "stop",
        "chat.completion",
    )
    assert text
    assert answer.usage is not None
    streamed, used = "", None
    options: Any = {"include_usage": True}
    async for chunk in await client.chat.completions.create(
        model=model, messages=HELLO, stream=True, stream_options=options
    ):
        used = chunk.usage or used
        streamed += "".join(choice.delta.content or "" for choice in chunk.choices)
    assert streamed == text
    assert used is not None
    assert used.completion_tokens == answer.usage.completion_tokens

    def synchronous(sync: OpenAI) -> tuple[str | None, str]:
        whole = sync.chat.completions.create(model=model, messages=HELLO)
        with sync.chat.completions.stream(model=model, messages=HELLO) as stream:
            final = stream.get_final_completion()
        return whole.choices[0].message.content, final.choices[0].message.content or ""

    assert await in_thread(edge, synchronous) == (text, text)


@pytest.mark.parametrize("model", MODELS)
async def test_tools_go_round(client: AsyncOpenAI, model: str) -> None:
    answer = await client.chat.completions.create(
        model=model, messages=HELLO, tools=[WEATHER], tool_choice="required"
    )
    message = answer.choices[0].message
    assert answer.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls
    call = message.tool_calls[0]
    assert call.type == "function"
    assert call.function.name == "get_weather"
    back: list[Any] = [
        *HELLO,
        message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": '{"temperature": 3}'},
    ]
    final = await client.chat.completions.create(model=model, messages=back, tools=[WEATHER])
    assert final.choices[0].message.content
    async with client.chat.completions.stream(
        model=model, messages=HELLO, tools=[WEATHER], tool_choice="required"
    ) as stream:
        streamed = (await stream.get_final_completion()).choices[0].message
    assert streamed.tool_calls
    assert streamed.tool_calls[0].function.name == "get_weather"
    assert streamed.tool_calls[0].function.arguments == call.function.arguments


@pytest.mark.parametrize("model", MODELS)
async def test_structured_answers_are_parsed(client: AsyncOpenAI, model: str) -> None:
    found = await client.chat.completions.parse(model=model, messages=HELLO, response_format=Verdict)
    assert isinstance(found.choices[0].message.parsed, Verdict)
    async with client.chat.completions.stream(model=model, messages=HELLO, response_format=Verdict) as stream:
        final = await stream.get_final_completion()
    assert final.choices[0].message.parsed == found.choices[0].message.parsed


async def test_headers_say_who_served(client: AsyncOpenAI, vendors: dict[str, Running]) -> None:
    await vendors["openai"].fault("error_500")
    raw = await client.chat.completions.with_raw_response.create(model="gpt-5.4-mini", messages=HELLO)
    assert raw.headers["x-fairlead-provider"] != "openai"
    assert raw.headers["x-fairlead-attempts"] == "2"
    assert raw.parse()._request_id == raw.headers["x-request-id"]


async def test_models(client: AsyncOpenAI) -> None:
    names = [model.id async for model in client.models.list()]
    assert set(MODELS) <= set(names)
    assert (await client.models.retrieve(MODELS[0])).id == MODELS[0]
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("nothing")


async def test_errors_are_the_sdks_own(
    edge: RunningEdge, client: AsyncOpenAI, vendors: dict[str, Running]
) -> None:
    with pytest.raises(openai.NotFoundError, match=r"gpt-5\.4-mini") as missing:
        await client.chat.completions.create(model="gpt-5.4-minny", messages=HELLO)
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError) as bad:
        await client.chat.completions.create(model="auto", messages=HELLO, temperature=9)
    assert bad.value.param == "temperature"
    with pytest.raises(openai.AuthenticationError):
        await client.with_options(api_key="fl-wrong").models.list()
    for simulator in vendors.values():
        await simulator.fault("rate_limited", retry_after_s=4)
    with pytest.raises(openai.RateLimitError) as limited:
        await client.chat.completions.create(model="auto", messages=HELLO)
    assert limited.value.response.headers["retry-after"] == "4"
    for simulator in vendors.values():
        await simulator.clear()
        await simulator.fault("refuse")
    with pytest.raises(openai.InternalServerError, match="No provider could answer") as down:
        await client.chat.completions.create(model="openai/gpt-5.5", messages=HELLO)
    assert (down.value.status_code, down.value.code) == (503, "no_provider_available")

    def synchronous(sync: OpenAI) -> None:
        sync.chat.completions.create(model="openai/gpt-5.5", messages=HELLO, stream=True)

    with pytest.raises(openai.InternalServerError):
        await in_thread(edge, synchronous)


async def test_a_stream_that_breaks_is_an_error_and_not_an_end(
    client: AsyncOpenAI, vendors: dict[str, Running]
) -> None:
    await vendors["openai"].fault("cut", after_chunks=3)
    stream = await client.chat.completions.create(model=MODELS[0], messages=HELLO, stream=True)
    seen: list[str] = []

    async def read() -> None:
        async for chunk in stream:
            seen.append(chunk.choices[0].delta.content or "")

    with pytest.raises(openai.APIError, match="The stream broke"):
        await read()
    assert "".join(seen)


async def test_the_sdk_may_leave_in_the_middle(
    edge: RunningEdge, client: AsyncOpenAI, vendors: dict[str, Running]
) -> None:
    await vendors["openai"].fault("stall", after_chunks=3)
    stream = await client.chat.completions.create(model=MODELS[0], messages=HELLO, stream=True)
    async for _ in stream:
        break
    await stream.close()
    async with asyncio.timeout(30):
        while not edge.calls():
            await asyncio.sleep(0.01)
    assert edge.calls()[0].state == "aborted"
