"""Every feature at every vendor, whole and streamed: our client against simulators that the official clients accept."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import pytest
from fairlead_common.outcomes import ErrorClass
from fairlead_models.client import ProviderClient
from fairlead_models.drift import DRIFT
from fairlead_models.errors import ProviderError
from fairlead_models.providers import BUILT_IN, ProviderSpec
from fairlead_models.transport.http1 import Http1Transport
from fairlead_models.transport.protocol import Timeouts
from fairlead_models.unified import (
    ChatRequest,
    Choice,
    EmbeddingRequest,
    FinishReason,
    Message,
    Thought,
    ToolCall,
    Unhonoured,
    Usage,
)
from fairlead_simulator.testing import Launched, launched

from libs.models.tests.wires.asking import FEATURES, HI, HISTORY, SCHEMA, TIME, WEATHER, chat, request

TIMEOUTS = Timeouts(connect_s=5, first_byte_s=20, between_bytes_s=20, total_s=30)
MODELS = {
    "openai": ("gpt-4.1-mini", "gpt-5.4-mini", "gpt-5.6", "o4-mini"),
    "anthropic": ("claude-haiku-5-5", "claude-sonnet-4-6", "claude-haiku-4-5"),
    "google": ("gemini-3.8-flash", "gemini-2.5-flash"),
    "mistral": ("mistral-medium-3-5", "mistral-large-4", "magistral-medium-latest"),
    "cohere": ("command-a-03-2025", "command-a-reasoning-08-2025"),
}
CASES = [(vendor, model) for vendor, models in MODELS.items() for model in models]


@dataclass
class Got:
    """An answer, however it came."""

    choices: dict[int, Choice] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    warnings: tuple[Unhonoured, ...] = ()

    @property
    def first(self) -> Choice:
        """The first choice."""
        return self.choices[0]


@pytest.fixture(scope="module")
def simulators() -> Iterator[dict[str, Launched]]:
    found: dict[str, Launched] = {}
    with (
        launched("openai") as found["openai"],
        launched("anthropic") as found["anthropic"],
        launched("google") as found["google"],
        launched("mistral") as found["mistral"],
        launched("cohere") as found["cohere"],
    ):
        yield found


@pytest.fixture
async def transport() -> AsyncIterator[Http1Transport]:
    made = Http1Transport()
    yield made
    await made.close()


class Bench:
    """Our client of one vendor's simulator."""

    def __init__(self, simulator: Launched, transport: Http1Transport, **spec: str) -> None:
        self.vendor = simulator.vendor
        base = simulator.url + ("/v1" if self.vendor == "openai" else "")
        row = ProviderSpec(self.vendor, BUILT_IN[self.vendor][0], base, "sk-test", **spec)  # type: ignore[arg-type]
        self.client = ProviderClient(row, transport)

    async def ask(self, asked: ChatRequest, model: str, *, stream: bool) -> Got:
        """The answer. Raises ProviderError."""
        if stream:
            return await self._streamed(asked, model)
        answer = await self.client.chat(asked, model, TIMEOUTS)
        choices = {choice.index: choice for choice in answer.response.choices}
        return Got(choices, answer.response.usage, answer.warnings)

    async def _streamed(self, asked: ChatRequest, model: str) -> Got:
        got = Got()
        async with self.client.streaming(asked, model, TIMEOUTS) as stream:
            got.warnings = stream.warnings
            while chunks := await stream.next():
                for chunk in chunks:
                    choice = got.choices.setdefault(chunk.index, Choice(chunk.index))
                    choice.text = _more(choice.text, chunk.text)
                    choice.refusal = _more(choice.refusal, chunk.refusal)
                    choice.finish_reason = chunk.finish_reason or choice.finish_reason
                    got.usage = chunk.usage or got.usage
                    if chunk.logprobs:
                        held = choice.logprobs or {"content": []}
                        choice.logprobs = {"content": held["content"] + chunk.logprobs["content"]}
                    if chunk.reasoning:
                        if not choice.thoughts or choice.thoughts[-1].seal:
                            choice.thoughts.append(Thought("", wire=self.vendor))
                        choice.thoughts[-1].text = _more(choice.thoughts[-1].text, chunk.reasoning)
                    if chunk.thought is not None:
                        _seal(choice, chunk.thought)
                    for delta in chunk.tool_calls or ():
                        if delta.index == len(choice.tool_calls):
                            choice.tool_calls.append(ToolCall(delta.id or "", delta.name or "", ""))
                        choice.tool_calls[delta.index].arguments += delta.arguments
        return got


def _more(before: str | None, piece: str | None) -> str | None:
    return before if piece is None else (before or "") + piece


def _seal(choice: Choice, seal: Thought) -> None:
    last = choice.thoughts[-1] if choice.thoughts else None
    if last is None or last.seal is not None or seal.call_id is not None or seal.redacted:
        choice.thoughts.append(seal)
        return
    last.seal, last.wire, last.id = seal.seal, seal.wire, seal.id


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize(("vendor", "model"), CASES)
async def test_no_feature_is_refused_by_the_vendor_or_lost(
    simulators: dict[str, Launched],
    transport: Http1Transport,
    vendor: str,
    model: str,
    feature: str,
    stream: bool,
) -> None:
    """A cell works, or is refused by us with a named reason; and no normal answer is drift."""
    before = dict(DRIFT.counts)
    bench = Bench(simulators[vendor], transport)
    try:
        got = await bench.ask(request(feature, stream=stream), model, stream=stream)
    except ProviderError as error:
        if error.error_class is not ErrorClass.UNSUPPORTED or error.status is not None:
            raise
        assert (vendor, feature) in UNSUPPORTED
        return
    assert dict(DRIFT.counts) == before
    assert got.usage.input_tokens
    assert got.usage.output_tokens
    judge(got, vendor, model, feature)


UNSUPPORTED = {("cohere", "image_url"), ("cohere", "image_data")}
"""Cells in which a model of MODELS cannot do what is asked."""

NOT_HONOURED = {
    "sampling": {"gpt-5.6", "o4-mini", "claude-haiku-5-5", "claude-sonnet-4-6", "claude-haiku-4-5"},
    "logprobs": {"gpt-5.6", "o4-mini", *MODELS["anthropic"], *MODELS["cohere"]},
    "penalties": {"gpt-5.6", "o4-mini", *MODELS["anthropic"]},
    "seed": {*MODELS["anthropic"]},
    "stop": {"o4-mini"},
    "many": {*MODELS["anthropic"], *MODELS["cohere"]},
    "tools_one_by_one": {*MODELS["google"], *MODELS["cohere"]},
    "user": {*MODELS["google"], *MODELS["mistral"], *MODELS["cohere"]},
    "json_object": {*MODELS["anthropic"]},
    "json_schema": {*MODELS["anthropic"]},
}
"""Where the caller must be told that something he asked for is missing."""


def judge(got: Got, vendor: str, model: str, feature: str) -> None:
    """What the feature promises of the answer, and what must be told when it cannot be honoured."""
    told = {each.param.split(".")[0] for each in got.warnings if not each.note}
    if feature in NOT_HONOURED and model in NOT_HONOURED[feature]:
        assert told
    elif feature not in ("effort", "no_effort"):
        assert not told, got.warnings
    choice = got.first
    finish = FinishReason.STOP
    if feature in ("tools_required", "tools_named"):
        finish = FinishReason.TOOL_CALLS
        assert choice.tool_calls[0].name == "get_weather"
        assert set(json.loads(choice.tool_calls[0].arguments)) == {"city", "days"}
        assert choice.tool_calls[0].id
    elif feature == "json_schema":
        assert set(json.loads(choice.text or "")) == {"city", "days"}
    elif feature == "json_object" and vendor != "anthropic":
        assert isinstance(json.loads(choice.text or ""), dict)
    elif feature in ("limit", "old_limit"):
        finish = choice.finish_reason or finish
    elif feature == "many" and model not in NOT_HONOURED["many"]:
        assert set(got.choices) == {0, 1}
    elif feature == "logprobs" and model not in NOT_HONOURED["logprobs"]:
        assert choice.logprobs["content"][0]["token"]
        assert choice.logprobs["content"][0]["logprob"] <= 0
    else:
        assert choice.text
    assert choice.finish_reason is finish


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("vendor", "model"),
    [
        ("openai", "gpt-5.6"),
        ("anthropic", "claude-haiku-5-5"),
        ("anthropic", "claude-haiku-4-5"),
        ("google", "gemini-3.8-flash"),
        ("mistral", "magistral-medium-latest"),
        ("cohere", "command-a-reasoning-08-2025"),
    ],
)
async def test_thinking_with_tools_survives_the_loop(
    simulators: dict[str, Launched], transport: Http1Transport, vendor: str, model: str, stream: bool
) -> None:
    """The model thinks and calls, the caller sends back what he got and the result, the model goes on."""
    bench = Bench(simulators[vendor], transport)
    ask = {"role": "user", "content": "Use get_weather and get_time for Oslo."}
    asked = chat(messages=[ask], tools=[WEATHER, TIME], reasoning_effort="high", stream=stream)
    asked.show_reasoning = True
    got = await bench.ask(asked, model, stream=stream)
    choice = got.first
    assert choice.finish_reason is FinishReason.TOOL_CALLS
    assert {call.name for call in choice.tool_calls} == {"get_weather", "get_time"}
    assert choice.thoughts
    sealed = vendor in ("openai", "anthropic", "google")
    assert any(thought.seal for thought in choice.thoughts) is sealed
    again = chat(messages=[ask], tools=[WEATHER, TIME], reasoning_effort="high", stream=stream)
    again.raw = None
    again.messages.append(
        Message("assistant", choice.text, tool_calls=choice.tool_calls, thoughts=choice.thoughts)
    )
    again.messages += [
        Message("tool", '{"temperature":3}', tool_call_id=call.id, is_error=call.name == "get_time")
        for call in choice.tool_calls
    ]
    after = await bench.ask(again, model, stream=stream)
    assert after.first.finish_reason is FinishReason.STOP
    assert after.first.text
    assert not [each for each in after.warnings if each.param == "messages"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("vendor", "model"),
    [
        ("openai", "gpt-5.6"),
        ("anthropic", "claude-haiku-5-5"),
        ("google", "gemini-3.8-flash"),
        ("mistral", "magistral-medium-latest"),
        ("cohere", "command-a-reasoning-08-2025"),
    ],
)
async def test_a_conversation_goes_on_at_another_vendor(
    simulators: dict[str, Launched], transport: Http1Transport, vendor: str, model: str, stream: bool
) -> None:
    """Failover in the middle of a tool loop: another vendor's ids and seals are no obstacle, and their loss is told."""
    asked = chat(messages=HISTORY[:5], tools=[TIME], stream=stream)
    asked.raw = None
    asked.messages[2].thoughts = [Thought("Hm.", "c2VhbA==", "elsewhere")]
    got = await Bench(simulators[vendor], transport).ask(asked, model, stream=stream)
    assert got.first.finish_reason is FinishReason.STOP
    assert [(each.param, each.note) for each in got.warnings] == [("messages", True)]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("vendor", sorted(BUILT_IN))
async def test_refusals_and_filters_say_so(
    simulators: dict[str, Launched], transport: Http1Transport, vendor: str, stream: bool
) -> None:
    bench, model = Bench(simulators[vendor], transport), MODELS[vendor][0]
    for phrase in ("simulate a refusal", "simulate a content filter"):
        asked = chat(messages=[{"role": "user", "content": phrase}], stream=stream)
        try:
            got = await bench.ask(asked, model, stream=stream)
        except ProviderError as error:
            if vendor not in ("cohere", "mistral") or not error.retryable:
                raise
            continue
        if phrase == "simulate a content filter" and vendor in ("openai", "google", "anthropic"):
            assert got.first.finish_reason is FinishReason.CONTENT_FILTER
        elif vendor == "openai":
            assert got.first.refusal


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_an_old_version_of_anthropics_api_still_takes_a_temperature(
    simulators: dict[str, Launched], transport: Http1Transport, stream: bool
) -> None:
    bench = Bench(simulators["anthropic"], transport, api_version="2023-06-01")
    asked = chat(temperature=1.5, top_k=5, stream=stream)
    got = await bench.ask(asked, "claude-haiku-4-5", stream=stream)
    assert [str(each) for each in got.warnings] == ["temperature: 1.5 is outside 0 to 1 here; sent as 1"]
    both = await bench.ask(chat(temperature=0.5, top_p=0.5, stream=stream), "claude-haiku-4-5", stream=stream)
    assert [each.param for each in both.warnings] == ["top_p"]
    new = await bench.ask(chat(temperature=0.5, stream=stream), "claude-haiku-5-5", stream=stream)
    assert [each.param for each in new.warnings] == ["temperature"]


@pytest.mark.parametrize(
    ("vendor", "model", "dimensions"),
    [
        ("openai", "text-embedding-3-small", 1536),
        ("google", "gemini-embedding-001", 3072),
        ("mistral", "mistral-embed", 1024),
        ("cohere", "embed-v4.0", 1536),
    ],
)
async def test_vectors_come_one_for_each_text(
    simulators: dict[str, Launched], transport: Http1Transport, vendor: str, model: str, dimensions: int
) -> None:
    bench = Bench(simulators[vendor], transport)
    answer = await bench.client.embed(EmbeddingRequest(model, ["one", "two", "one"]), model, TIMEOUTS)
    first, second, third = answer.response.vectors
    assert len(first) == dimensions
    assert first == third != second
    if vendor != "google":
        assert answer.response.usage.input_tokens
        assert answer.response.usage.output_tokens == 0
    if vendor != "mistral":
        small = EmbeddingRequest(model, ["one"], dimensions=256)
        assert len((await bench.client.embed(small, model, TIMEOUTS)).response.vectors[0]) == 256


async def test_anthropic_has_no_vectors(simulators: dict[str, Launched], transport: Http1Transport) -> None:
    bench = Bench(simulators["anthropic"], transport)
    with pytest.raises(ProviderError) as refused:
        await bench.client.embed(EmbeddingRequest("m", ["one"]), "claude-haiku-5-5")
    assert refused.value.error_class is ErrorClass.UNSUPPORTED
    assert (refused.value.provider, refused.value.model) == ("anthropic", "claude-haiku-5-5")


@pytest.mark.parametrize("vendor", ["openai", "anthropic", "mistral"])
async def test_rate_limits_are_read(
    simulators: dict[str, Launched], transport: Http1Transport, vendor: str
) -> None:
    bench = Bench(simulators[vendor], transport)
    answer = await bench.client.chat(chat(), MODELS[vendor][0], TIMEOUTS)
    assert answer.rate_limits.known
    assert not answer.rate_limits.exhausted
    async with bench.client.streaming(chat(stream=True), MODELS[vendor][0], TIMEOUTS) as stream:
        assert stream.rate_limits.known


def test_the_history_used_here_is_what_callers_send() -> None:
    assert [message["role"] for message in HISTORY[:5]] == ["system", "user", "assistant", "tool", "tool"]
    assert HI["role"] == "user"
    assert SCHEMA["type"] == "object"
