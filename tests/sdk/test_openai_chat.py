"""The official openai SDK against the simulated OpenAI: chat completions, embeddings, models, errors."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from fairlead_simulator.testing import Launched
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.sdk.samples import BOTH, CITY, LONG, PLACE, PNG, SEEN, Plan

VENDOR = "openai"
MODEL = "gpt-5.4-mini"
TOOLS: Any = [
    {"type": "function", "function": {"name": "get_weather", "parameters": CITY, "strict": True}},
    {"type": "function", "function": {"name": "find_place", "parameters": PLACE}},
]


@pytest.fixture(scope="module")
def client(process: Launched) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        api_key="sk-test", base_url=f"{process.url}/v1", max_retries=0, _strict_response_validation=True
    ) as found:
        yield found


def says(*texts: str) -> Any:
    """User and assistant turns, in turn."""
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


def ask(client: openai.OpenAI, prompt: str = "How do I compare providers?", **more: Any) -> ChatCompletion:
    found = client.chat.completions.create(**{"model": MODEL, "messages": says(prompt), **more})
    assert isinstance(found, ChatCompletion)
    return found


def streamed(
    client: openai.OpenAI, prompt: str = "How do I compare providers?", **more: Any
) -> list[ChatCompletionChunk]:
    chunks = list(
        client.chat.completions.create(**{"model": MODEL, "messages": says(prompt), **more}, stream=True)
    )
    assert all(isinstance(chunk, ChatCompletionChunk) for chunk in chunks)
    assert all(chunk.object == "chat.completion.chunk" for chunk in chunks)
    return chunks


def text_of(chunks: list[ChatCompletionChunk], index: int = 0) -> str:
    return "".join(c.delta.content or "" for chunk in chunks for c in chunk.choices if c.index == index)


def refusal_of(call: Any) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as failed:
        call()
    return failed.value


def test_an_answer_and_its_stream_say_the_same(client: openai.OpenAI) -> None:
    whole = ask(client)
    choice = whole.choices[0]
    assert MODEL in (choice.message.content or "")
    assert (choice.finish_reason, choice.message.role, choice.message.refusal) == ("stop", "assistant", None)
    assert whole.id.startswith("chatcmpl-")
    chunks = streamed(client, stream_options={"include_usage": True})
    assert text_of(chunks) == choice.message.content
    assert chunks[-1].choices == []
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].usage == whole.usage
    assert whole.usage is not None
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    assert whole.id != chunks[0].id


def test_usage_is_streamed_only_when_asked_for(client: openai.OpenAI) -> None:
    assert all(chunk.usage is None for chunk in streamed(client))


@pytest.mark.parametrize("role", ["system", "developer"])
def test_system_prompt_and_turns_arrive(client: openai.OpenAI, role: str) -> None:
    messages = [{"role": role, "content": "Be brief."}, *says("One", "Two", "Three")]
    text = ask(client, messages=messages).choices[0].message.content or ""
    assert 'I was told: "Be brief."' in text
    assert "turn 2" in text
    assert text == text_of(streamed(client, messages=messages))


def test_pictures_are_seen(client: openai.OpenAI) -> None:
    inline = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": inline, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]
    text = ask(client, messages=[{"role": "user", "content": parts}]).choices[0].message.content or ""
    assert SEEN in text
    assert "an image at https://example.com/a.png" in text
    broken = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,bm8gcGljdHVyZQ=="}}]
    refused = refusal_of(lambda: ask(client, messages=[{"role": "user", "content": broken}]))
    assert refused.param == "messages[0].content[0].image_url"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", ["get_weather", "find_place"]),
        ("required", ["get_weather", "find_place"]),
        ({"type": "function", "function": {"name": "find_place"}}, ["find_place"]),
        ("none", []),
    ],
)
def test_tools_are_chosen(client: openai.OpenAI, choice: Any, expected: list[str]) -> None:
    message = ask(client, BOTH, tools=TOOLS, tool_choice=choice).choices[0]
    calls = [call for call in message.message.tool_calls or () if call.type == "function"]
    assert [call.function.name for call in calls] == expected
    assert message.finish_reason == ("tool_calls" if expected else "stop")
    assert (message.message.content is None) == bool(expected)
    chunks = streamed(client, BOTH, tools=TOOLS, tool_choice=choice)
    pieces: dict[int, list[str]] = {}
    for chunk in chunks:
        for call in chunk.choices[0].delta.tool_calls or ():
            assert call.function is not None
            pieces.setdefault(call.index, []).append(call.function.arguments or "")
    assert [json.loads("".join(each)) for each in pieces.values()] == [
        json.loads(call.function.arguments) for call in calls
    ]
    assert all(len(each) > 2 for each in pieces.values())
    assert chunks[-1].choices[0].finish_reason == message.finish_reason


def test_one_call_at_a_time(client: openai.OpenAI) -> None:
    calls = ask(client, BOTH, tools=TOOLS, parallel_tool_calls=False).choices[0].message.tool_calls
    assert calls is not None
    assert len(calls) == 1


def test_an_answer_refers_to_the_results_of_tools(client: openai.OpenAI) -> None:
    first = ask(client, BOTH, tools=TOOLS).choices[0].message
    assert first.tool_calls is not None
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": f'{{"degrees": {i}}}'}
        for i, call in enumerate(first.tool_calls)
    ]
    messages = [*says(BOTH), first.model_dump(exclude_none=True), *results]
    text = ask(client, messages=messages, tools=TOOLS).choices[0].message.content or ""
    assert 'The tool says get_weather: {"degrees": 0}; find_place: {"degrees": 1}.' in text
    refused = refusal_of(lambda: ask(client, messages=messages[:-1], tools=TOOLS))
    assert first.tool_calls[1].id in str(refused)
    assert "preceeding" in str(refusal_of(lambda: ask(client, messages=[*says(BOTH), results[0]])))


def test_structured_output_is_parsed(client: openai.OpenAI) -> None:
    parsed = client.chat.completions.parse(model=MODEL, messages=says("Plan it"), response_format=Plan)
    assert isinstance(parsed.choices[0].message.parsed, Plan)
    with client.chat.completions.stream(
        model=MODEL, messages=says("Plan it"), response_format=Plan
    ) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"content.delta", "content.done", "chunk"} <= kinds
    assert final.choices[0].message.parsed == parsed.choices[0].message.parsed


def test_json_mode_wants_the_word_json(client: openai.OpenAI) -> None:
    wanted = {"type": "json_object"}
    text = ask(client, "Answer in JSON", response_format=wanted).choices[0].message.content
    assert isinstance(json.loads(text or ""), dict)
    assert refusal_of(lambda: ask(client, "Answer", response_format=wanted)).param == "messages"


def test_stops_and_limits(client: openai.OpenAI) -> None:
    full = ask(client).choices[0].message.content or ""
    stopped = ask(client, stop=["speaking", "zzz"]).choices[0]
    assert stopped.message.content == full[: full.index("speaking")]
    assert stopped.finish_reason == "stop"
    short = ask(client, max_completion_tokens=5)
    assert short.choices[0].finish_reason == "length"
    assert short.usage is not None
    assert short.usage.completion_tokens == 5
    chunks = streamed(client, max_completion_tokens=5)
    assert chunks[-1].choices[0].finish_reason == "length"
    assert text_of(chunks) == short.choices[0].message.content


def test_seeds_and_several_choices(client: openai.OpenAI) -> None:
    one, same, other = (ask(client, seed=seed, n=2) for seed in (7, 7, 8))
    texts = [choice.message.content for choice in one.choices]
    assert texts == [choice.message.content for choice in same.choices]
    assert texts != [choice.message.content for choice in other.choices]
    assert texts[0] != texts[1]
    chunks = streamed(client, seed=7, n=2)
    assert [text_of(chunks, 0), text_of(chunks, 1)] == texts


def test_log_probabilities(client: openai.OpenAI) -> None:
    choice = ask(client, logprobs=True, top_logprobs=2).choices[0]
    assert choice.logprobs is not None
    assert choice.logprobs.content is not None
    assert "".join(token.token for token in choice.logprobs.content) == choice.message.content
    assert all(token.logprob <= 0 and len(token.top_logprobs) == 2 for token in choice.logprobs.content)
    chunks = streamed(client, logprobs=True)
    first = next(chunk.choices[0] for chunk in chunks if chunk.choices[0].delta.content)
    assert first.logprobs is not None
    assert first.logprobs.content is not None
    assert first.logprobs.content[0].token == first.delta.content


def test_reasoning_is_counted_and_not_shown(client: openai.OpenAI) -> None:
    counts = []
    for effort in ("none", "low", "high"):
        usage = ask(client, reasoning_effort=effort).usage
        assert usage is not None
        assert usage.completion_tokens_details is not None
        counts.append(usage.completion_tokens_details.reasoning_tokens or 0)
    assert counts[0] == 0 < counts[1] < counts[2]
    assert "Let me think" not in text_of(streamed(client, reasoning_effort="high"))
    used_up = ask(client, reasoning_effort="high", max_completion_tokens=20)
    assert (used_up.choices[0].finish_reason, used_up.choices[0].message.content) == ("length", "")


def test_refusals_and_filters(client: openai.OpenAI) -> None:
    refusal = ask(client, "simulate a refusal").choices[0].message
    assert (refusal.content, refusal.refusal) == (None, "I cannot help with that.")
    pieces = [chunk.choices[0].delta.refusal or "" for chunk in streamed(client, "simulate a refusal")]
    assert "".join(pieces) == refusal.refusal
    assert ask(client, "simulate a content filter").choices[0].finish_reason == "content_filter"
    assert streamed(client, "simulate a content filter")[-1].choices[0].finish_reason == "content_filter"
    assert refusal_of(lambda: ask(client, "simulate a blocked prompt")).code == "invalid_prompt"


def test_a_repeated_beginning_is_cached(client: openai.OpenAI) -> None:
    cached = []
    for question in ("One?", "Two?"):
        messages = [{"role": "system", "content": LONG}, *says(question)]
        usage = ask(client, messages=messages).usage
        assert usage is not None
        assert usage.prompt_tokens_details is not None
        cached.append(usage.prompt_tokens_details.cached_tokens or 0)
    assert cached[0] == 0
    assert cached[1] >= 1024
    assert cached[1] % 128 == 0


@pytest.mark.parametrize(
    ("more", "code", "param"),
    [
        ({"temperature": 2.5}, "decimal_above_max_value", "temperature"),
        ({"top_p": -0.1}, "decimal_below_min_value", "top_p"),
        ({"n": 0}, "integer_below_min_value", "n"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "array_above_max_length", "stop"),
        ({"extra_body": {"temperature": "hot"}}, "invalid_type", "temperature"),
        ({"extra_body": {"surprise": 1}}, "unknown_parameter", "surprise"),
        ({"reasoning_effort": "minimal"}, "unsupported_value", "reasoning_effort"),
        ({"max_tokens": 9}, "unsupported_parameter", "max_tokens"),
        ({"reasoning_effort": "low", "temperature": 0.2}, "unsupported_value", "temperature"),
        ({"reasoning_effort": "low", "tools": TOOLS}, None, "reasoning_effort"),
        ({"tool_choice": "auto"}, None, "tool_choice"),
        ({"messages": []}, "empty_array", "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "invalid_value", "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "missing_required_parameter", "messages[0].content"),
        ({"max_completion_tokens": 999_999}, "invalid_value", "max_tokens"),
    ],
)
def test_what_is_refused(client: openai.OpenAI, more: dict[str, Any], code: str | None, param: str) -> None:
    refused = refusal_of(lambda: ask(client, **more))
    assert isinstance(refused, openai.BadRequestError)
    assert (refused.type, refused.code, refused.param) == ("invalid_request_error", code, param)


@pytest.mark.parametrize("model", ["gpt-5.5", "gpt-5.6"])
def test_models_that_think_by_default_take_no_tools_here(client: openai.OpenAI, model: str) -> None:
    assert "/v1/responses" in str(refusal_of(lambda: ask(client, model=model, tools=TOOLS)))
    assert ask(client, BOTH, model=model, tools=TOOLS, reasoning_effort="none").choices[0].message.tool_calls


def test_older_models_take_what_they_took(client: openai.OpenAI) -> None:
    short = ask(client, model="gpt-4.1", max_tokens=4, temperature=0.5)
    assert short.choices[0].finish_reason == "length"
    assert (
        refusal_of(lambda: ask(client, model="gpt-4.1", reasoning_effort="low")).code
        == "unsupported_parameter"
    )
    assert refusal_of(lambda: ask(client, model="o4-mini", stop="x")).param == "stop"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"type": "object", "properties": {"a": {"type": "text"}}},
        {"type": "object", "required": "a"},
    ],
)
def test_bad_schemas_of_tools_are_refused(client: openai.OpenAI, schema: Any) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    assert refusal_of(lambda: ask(client, tools=[tool])).code == "invalid_function_parameters"
    strict = {"name": "s", "strict": True, "schema": {**CITY, "additionalProperties": True}}
    wanted = {"type": "json_schema", "json_schema": strict}
    assert "additionalProperties" in str(refusal_of(lambda: ask(client, response_format=wanted)))


def test_embeddings(simulator: Launched) -> None:
    # the SDK asks for base64 by default, and its own strict validation does not expect to get it
    client = openai.OpenAI(api_key="sk-test", base_url=f"{simulator.url}/v1", max_retries=0)
    model = "text-embedding-3-small"
    packed = client.embeddings.create(model=model, input=["the red house", "the red door", "quantum"])
    plain = client.embeddings.create(model=model, input="the red house", encoding_format="float")
    one, near, far = (each.embedding for each in packed.data)
    assert len(one) == 1536
    assert one == pytest.approx(plain.data[0].embedding, abs=1e-6)

    def likeness(other: list[float]) -> float:
        return sum(a * b for a, b in zip(one, other, strict=True))

    assert likeness(near) > likeness(far) + 0.3
    small = client.embeddings.create(model=model, input="x", dimensions=256)
    assert len(small.data[0].embedding) == 256
    assert packed.usage.prompt_tokens > 0
    assert refusal_of(lambda: client.embeddings.create(model=model, input="")).param == "input[0]"
    assert refusal_of(lambda: client.embeddings.create(model=MODEL, input="x")).status_code == 403
    assert (
        refusal_of(lambda: client.embeddings.create(model=model, input="x", dimensions=9999)).param
        == "dimensions"
    )


def test_models_and_headers(client: openai.OpenAI) -> None:
    assert MODEL in [model.id for model in client.models.list()]
    assert client.models.retrieve(MODEL).owned_by == "system"
    refused = refusal_of(lambda: ask(client, model="gpt-0"))
    assert isinstance(refused, openai.NotFoundError)
    assert refused.code == "model_not_found"
    assert refused.request_id
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=says("Hi"))
    assert raw.request_id
    assert int(raw.headers["x-ratelimit-remaining-requests"]) < int(raw.headers["x-ratelimit-limit-requests"])
    assert raw.headers["x-ratelimit-reset-requests"].endswith("s")


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ("auth", openai.AuthenticationError, "invalid_api_key"),
        ("forbidden", openai.PermissionDeniedError, "unsupported_country_region_territory"),
        ("rate_limited", openai.RateLimitError, "rate_limit_exceeded"),
        ("slow_down", openai.RateLimitError, "slow_down"),
        ("quota_exhausted", openai.RateLimitError, "insufficient_quota"),
        ("spend_limit", openai.RateLimitError, "credit_balance_exhausted"),
        ("error_500", openai.InternalServerError, None),
        ("overloaded", openai.InternalServerError, "server_is_overloaded"),
        ("timeout", openai.InternalServerError, None),
        ("bad_gateway", openai.InternalServerError, None),
    ],
)
def test_faults_are_the_vendors_errors(
    client: openai.OpenAI,
    simulator: Launched,
    fault: str,
    error: type[openai.APIStatusError],
    code: str | None,
) -> None:
    simulator.fault(fault, retry_after_s=7)
    refused = refusal_of(lambda: ask(client))
    assert isinstance(refused, error)
    assert refused.code == code
    assert refusal_of(lambda: streamed(client)).status_code == refused.status_code
    if fault == "rate_limited":
        assert refused.response.headers["retry-after"] == "7"
        assert refused.response.headers["x-ratelimit-remaining-requests"] == "0"


def test_an_error_in_a_stream(client: openai.OpenAI, simulator: Launched) -> None:
    simulator.fault("stream_error", after_chunks=2)
    with pytest.raises(openai.APIError, match="The server had an error"):
        streamed(client)


def test_a_drift_is_taken_by_the_sdk(client: openai.OpenAI, simulator: Launched) -> None:
    simulator.fault("drift")
    found = ask(client)
    assert found.model_extra is not None
    assert "x_simulated_field" in found.model_extra
    assert text_of(streamed(client)) == found.choices[0].message.content


def test_a_slow_drip_arrives_whole(client: openai.OpenAI, simulator: Launched) -> None:
    expected = ask(client).choices[0].message.content
    simulator.fault("slow_drip", chunk_bytes=7, interval_s=0)
    assert ask(client).choices[0].message.content == expected
    assert text_of(streamed(client)) == expected


def test_no_key_no_answer(client: openai.OpenAI) -> None:
    refused = refusal_of(lambda: client.models.list(extra_headers={"Authorization": ""}))
    assert isinstance(refused, openai.AuthenticationError)
