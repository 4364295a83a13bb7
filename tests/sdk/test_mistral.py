"""The official mistralai SDK against the simulated Mistral: chat, streams, embeddings, models, errors."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from fairlead_simulator.testing import Launched
from mistralai.client import Mistral, models
from mistralai.client.errors import HTTPValidationError, MistralError, ResponseValidationError, SDKError

from tests.sdk.samples import BOTH, CITY, LONG, PLACE, PNG, SEEN, Plan

VENDOR = "mistral"
MODEL = "mistral-medium-3-5"
QUESTION = "How do I compare providers?"
TOOLS: Any = [
    {"type": "function", "function": {"name": "get_weather", "parameters": CITY, "strict": True}},
    {"type": "function", "function": {"name": "find_place", "parameters": PLACE}},
]


@pytest.fixture(scope="module")
def client(process: Launched) -> Iterator[Mistral]:
    with Mistral(api_key="test-key", server_url=process.url) as found:
        yield found


def says(*texts: Any) -> Any:
    """User and assistant turns, in turn."""
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


def ask(client: Mistral, prompt: Any = QUESTION, **more: Any) -> models.ChatCompletionResponse:
    return client.chat.complete(**{"model": MODEL, "messages": says(prompt), **more})


def streamed(client: Mistral, prompt: Any = QUESTION, **more: Any) -> list[models.CompletionChunk]:
    with client.chat.stream(**{"model": MODEL, "messages": says(prompt), **more}) as stream:
        return [event.data for event in stream]


def message_of(found: models.ChatCompletionResponse, index: int = 0) -> models.AssistantMessage:
    message = found.choices[index].message
    assert message is not None
    return message


def text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.text for part in content or () if part.type == "text")


def said(chunks: list[models.CompletionChunk], index: int = 0) -> str:
    return "".join(text_of(c.delta.content) for chunk in chunks for c in chunk.choices if c.index == index)


def thought(content: Any) -> str:
    if not isinstance(content, list):
        return ""
    return "".join(inner.text for part in content if part.type == "thinking" for inner in part.thinking)


def refusal_of(call: Any) -> MistralError:
    with pytest.raises(MistralError) as failed:
        call()
    return failed.value


def code_of(refused: MistralError) -> tuple[int, str]:
    return refused.status_code, json.loads(refused.body)["code"]


def test_an_answer_and_its_stream_say_the_same(client: Mistral) -> None:
    whole = ask(client)
    assert MODEL in text_of(message_of(whole).content)
    assert whole.choices[0].finish_reason == "stop"
    chunks = streamed(client)
    assert said(chunks) == message_of(whole).content
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert chunks[-1].usage == whole.usage
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert whole.usage.total_tokens == (whole.usage.prompt_tokens or 0) + (whole.usage.completion_tokens or 0)


def test_system_prompt_and_turns_arrive(client: Mistral) -> None:
    messages = [{"role": "system", "content": "Be brief."}, *says("One", "Two", "Three")]
    text = text_of(message_of(ask(client, messages=messages)).content)
    assert 'I was told: "Be brief."' in text
    assert "turn 2" in text


def test_pictures_are_seen(client: Mistral) -> None:
    inline = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": inline},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]
    text = text_of(message_of(ask(client, parts)).content)
    assert SEEN in text
    assert "an image at https://example.com/a.png" in text


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", ["get_weather", "find_place"]),
        ("any", ["get_weather", "find_place"]),
        ("required", ["get_weather", "find_place"]),
        ({"type": "function", "function": {"name": "find_place"}}, ["find_place"]),
        ("none", []),
    ],
)
def test_tools_are_chosen(client: Mistral, choice: Any, expected: list[str]) -> None:
    whole = ask(client, BOTH, tools=TOOLS, tool_choice=choice)
    calls = message_of(whole).tool_calls or []
    assert [call.function.name for call in calls] == expected
    assert all(len(call.id or "") == 9 for call in calls)
    assert whole.choices[0].finish_reason == ("tool_calls" if expected else "stop")
    last = streamed(client, BOTH, tools=TOOLS, tool_choice=choice)[-1].choices[0]
    assert [call.function for call in last.delta.tool_calls or ()] == [call.function for call in calls]
    assert last.finish_reason == whole.choices[0].finish_reason


def test_an_answer_refers_to_the_results_of_tools(client: Mistral) -> None:
    first = message_of(ask(client, BOTH, tools=TOOLS))
    assert first.tool_calls
    results = [
        {"role": "tool", "tool_call_id": call.id, "name": call.function.name, "content": f"result {i}"}
        for i, call in enumerate(first.tool_calls)
    ]
    history = [*says(BOTH), first]
    text = text_of(message_of(ask(client, messages=[*history, *results], tools=TOOLS)).content)
    assert "The tool says get_weather: result 0; find_place: result 1." in text
    fewer = refusal_of(lambda: ask(client, messages=[*history, results[0]], tools=TOOLS))
    assert "Not the same number of function calls and responses" in str(fewer)
    after = refusal_of(lambda: ask(client, messages=[*history, *results, *says("Well?")], tools=TOOLS))
    assert "Unexpected role 'user' after role 'tool'" in str(after)
    assert code_of(after) == (400, "3230")
    long = [{**results[0], "tool_call_id": "call_1234567890"}, results[1]]
    assert code_of(refusal_of(lambda: ask(client, messages=[*history, *long], tools=TOOLS))) == (400, "3280")


def test_structured_output_is_parsed(client: Mistral) -> None:
    found = client.chat.parse(model=MODEL, messages=says("Plan it"), response_format=Plan)
    assert found.choices
    message = found.choices[0].message
    assert message is not None
    assert isinstance(message.parsed, Plan)
    plain = ask(client, response_format={"type": "json_object"})
    assert isinstance(json.loads(text_of(message_of(plain).content)), dict)


def test_stops_and_limits(client: Mistral) -> None:
    full = text_of(message_of(ask(client)).content)
    assert message_of(ask(client, stop=["zzz", "speaking"])).content == full[: full.index("speaking")]
    short = ask(client, max_tokens=5)
    assert (short.choices[0].finish_reason, short.usage.completion_tokens) == ("length", 5)
    assert streamed(client, max_tokens=5)[-1].choices[0].finish_reason == "length"


def test_seeds_and_several_choices(client: Mistral) -> None:
    one, same, other = (
        [message_of(found, i).content for i in range(2)]
        for found in (ask(client, random_seed=seed, n=2) for seed in (7, 7, 8))
    )
    assert one == same
    assert one != other
    assert one[0] != one[1]
    chunks = streamed(client, random_seed=7, n=2)
    assert [said(chunks, 0), said(chunks, 1)] == one


def test_log_probabilities(client: Mistral) -> None:
    whole = ask(client, logprobs=True, top_logprobs=2)
    listed = whole.choices[0].logprobs
    assert listed
    assert "".join(each.token for each in listed.content) == message_of(whole).content
    assert all(isinstance(each.top_logprobs, list) and len(each.top_logprobs) == 2 for each in listed.content)
    chunks = streamed(client, logprobs=True)
    assert any(chunk.choices[0].logprobs for chunk in chunks)


@pytest.mark.parametrize(
    ("model", "more"),
    [
        (MODEL, {"reasoning_effort": "high"}),
        (MODEL, {"prompt_mode": "reasoning"}),
        ("magistral-medium-latest", {}),
    ],
)
def test_thoughts_are_part_of_the_content(client: Mistral, model: str, more: dict[str, Any]) -> None:
    whole = message_of(ask(client, model=model, **more)).content
    assert "Let me think" in thought(whole)
    assert model in text_of(whole)
    chunks = streamed(client, model=model, **more)
    assert "".join(thought(chunk.choices[0].delta.content) for chunk in chunks) == thought(whole)
    assert said(chunks) == text_of(whole)


def test_reasoning_is_refused_where_it_is_not_offered(client: Mistral) -> None:
    assert isinstance(refusal_of(lambda: ask(client, reasoning_effort="low")), HTTPValidationError)
    large = refusal_of(lambda: ask(client, model="mistral-large-4", reasoning_effort="high"))
    assert large.status_code == 400
    assert isinstance(message_of(ask(client, reasoning_effort="none")).content, str)


def test_refusals_and_filters(client: Mistral) -> None:
    refusal = ask(client, "simulate a refusal")
    assert (message_of(refusal).content, refusal.choices[0].finish_reason) == (
        "I cannot help with that.",
        "stop",
    )
    assert ask(client, "simulate a content filter").choices[0].finish_reason == "error"
    assert refusal_of(lambda: ask(client, "simulate a blocked prompt")).status_code == 403


def test_a_repeated_beginning_is_cached(client: Mistral) -> None:
    cached = []
    for question in ("One?", "Two?"):
        messages = [{"role": "system", "content": LONG}, *says(question)]
        usage = ask(client, messages=messages).usage
        cached.append(usage.model_dump()["num_cached_tokens"])
    assert cached[0] == 0
    assert cached[1] >= 1024


@pytest.mark.parametrize(
    ("more", "kind", "place"),
    [
        ({"temperature": 2.5}, "less_than_equal", "temperature"),
        ({"top_p": -0.1}, "greater_than_equal", "top_p"),
        ({"n": 0}, "greater_than_equal", "n"),
        ({"reasoning_effort": "low"}, "literal_error", "reasoning_effort"),
        ({"response_format": {"type": "json_schema"}}, "missing", "json_schema"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "objekt"}}}]},
            "value_error",
            "parameters",
        ),
    ],
)
def test_what_does_not_fit_the_schema_is_unprocessable(
    client: Mistral, more: dict[str, Any], kind: str, place: str
) -> None:
    refused = refusal_of(lambda: ask(client, **more))
    assert isinstance(refused, HTTPValidationError)
    assert refused.data.detail
    assert (refused.data.detail[0].type, refused.data.detail[0].loc[-1]) == (kind, place)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"model": "mistral-0"}, "1500"),
        ({"messages": []}, "3230"),
        ({"messages": says("One", "Two")}, "3230"),
        ({"messages": [{"role": "assistant", "content": ""}]}, "3240"),
        ({"messages": [*says("One"), {"role": "tool", "tool_call_id": "abcdefghi", "content": "x"}]}, "3230"),
        ({"tools": [{"type": "function", "function": {"name": "a b", "parameters": CITY}}]}, "3280"),
        ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "g"}}}, "3051"),
        ({"messages": says("word " * 140_000)}, "3051"),
    ],
)
def test_what_makes_no_sense_is_a_bad_request(client: Mistral, more: dict[str, Any], code: str) -> None:
    refused = refusal_of(lambda: ask(client, **more))
    assert isinstance(refused, SDKError)
    assert code_of(refused) == (400, code)


def test_a_prefix_is_continued(client: Mistral) -> None:
    messages = [*says("One"), {"role": "assistant", "content": "Well,", "prefix": True}]
    assert ask(client, messages=messages).choices[0].finish_reason == "stop"


def test_embeddings(client: Mistral) -> None:
    found = client.embeddings.create(model="mistral-embed", inputs=["the red house", "the red door"])
    assert [len(row.embedding or ()) for row in found.data] == [1024, 1024]
    small = client.embeddings.create(
        model="codestral-embed", inputs="x", output_dimension=256, output_dtype="int8"
    )
    values = small.data[0].embedding or []
    assert len(values) == 256
    assert all(-128 <= value <= 127 for value in values)
    assert refusal_of(lambda: client.embeddings.create(model=MODEL, inputs="x")).status_code == 400
    assert (
        refusal_of(
            lambda: client.embeddings.create(model="mistral-embed", inputs="x", output_dimension=3)
        ).status_code
        == 400
    )
    assert refusal_of(lambda: client.embeddings.create(model="mistral-embed", inputs="")).status_code == 422


def test_models(client: Mistral) -> None:
    found = client.models.list().data or []
    assert MODEL in [model.id for model in found if isinstance(model, models.BaseModelCard)]
    card = client.models.retrieve(model_id=MODEL)
    assert isinstance(card, models.BaseModelCard)
    assert card.capabilities.reasoning
    assert card.aliases == ["mistral-medium-latest"]
    assert refusal_of(lambda: client.models.retrieve(model_id="mistral-0")).status_code == 404


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("auth", 401, None),
        ("forbidden", 403, "1200"),
        ("quota_exhausted", 402, "1600"),
        ("rate_limited", 429, "1300"),
        ("capacity", 429, "3505"),
        ("error_500", 500, "1000"),
        ("overloaded", 503, "1100"),
    ],
)
def test_faults_are_the_vendors_errors(
    client: Mistral, simulator: Launched, fault: str, status: int, code: str | None
) -> None:
    simulator.fault(fault, retry_after_s=7)
    refused = refusal_of(lambda: ask(client))
    assert refused.status_code == status
    assert json.loads(refused.body).get("code") == code
    assert (refused.headers.get("retry-after") == "7") == (fault == "rate_limited")
    assert refused.headers["mistral-correlation-id"]
    assert refusal_of(lambda: streamed(client)).status_code == status


def test_an_error_in_a_stream_does_not_fit_the_sdks_types(client: Mistral, simulator: Launched) -> None:
    simulator.fault("stream_error", after_chunks=2)
    assert isinstance(refusal_of(lambda: streamed(client)), ResponseValidationError)


def test_a_drift_is_taken_by_the_sdk(client: Mistral, simulator: Launched) -> None:
    expected = message_of(ask(client)).content
    simulator.fault("drift")
    assert message_of(ask(client)).content == said(streamed(client)) == expected
