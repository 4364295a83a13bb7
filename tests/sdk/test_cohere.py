"""The official cohere SDK against the simulated Cohere: chat, streams, embeddings, reranking, tokens, models, errors."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import cohere
import pytest
from cohere.core.api_error import ApiError
from cohere.errors import (
    BadRequestError,
    ForbiddenError,
    GatewayTimeoutError,
    InternalServerError,
    InvalidTokenError,
    NotFoundError,
    ServiceUnavailableError,
    TooManyRequestsError,
    UnauthorizedError,
    UnprocessableEntityError,
)
from fairlead_simulator.testing import Launched

from tests.sdk.samples import BOTH, CITY, LONG, PLACE, PNG, SEEN, Plan

VENDOR = "cohere"
MODEL = "command-a-03-2025"
QUESTION = "How do I compare providers?"
ONCE: Any = {"max_retries": 0}
TOOLS: Any = [
    {"type": "function", "function": {"name": "get_weather", "parameters": CITY}},
    {"type": "function", "function": {"name": "find_place", "parameters": PLACE}},
]


@pytest.fixture(scope="module")
def client(process: Launched) -> Iterator[cohere.ClientV2]:
    with cohere.ClientV2(
        api_key="test-key", base_url=process.url, log_warning_experimental_features=False
    ) as found:
        yield found


def says(*texts: Any) -> Any:
    """User and assistant turns, in turn."""
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


def ask(client: cohere.ClientV2, prompt: Any = QUESTION, **more: Any) -> cohere.V2ChatResponse:
    return client.chat(**{"model": MODEL, "messages": says(prompt), "request_options": ONCE, **more})


def streamed(client: cohere.ClientV2, prompt: Any = QUESTION, **more: Any) -> list[Any]:
    return list(
        client.chat_stream(**{"model": MODEL, "messages": says(prompt), "request_options": ONCE, **more})
    )


def text_of(found: cohere.V2ChatResponse) -> str:
    return "".join(part.text for part in found.message.content or () if part.type == "text")


def said(events: list[Any], kind: str = "text") -> str:
    deltas = [event for event in events if event.type == "content-delta"]
    return "".join(getattr(event.delta.message.content, kind) or "" for event in deltas)


def ending(events: list[Any]) -> Any:
    assert events[-1].type == "message-end"
    return events[-1].delta


def refusal_of(call: Any) -> ApiError:
    with pytest.raises(ApiError) as failed:
        call()
    return failed.value


def test_an_answer_and_its_stream_say_the_same(client: cohere.ClientV2) -> None:
    whole = ask(client)
    assert MODEL in text_of(whole)
    assert (whole.finish_reason, whole.message.role) == ("COMPLETE", "assistant")
    events = streamed(client)
    assert [event.type for event in events[:2]] == ["message-start", "content-start"]
    assert said(events) == text_of(whole)
    assert ending(events).finish_reason == "COMPLETE"
    assert ending(events).usage == whole.usage
    assert whole.usage is not None
    assert whole.usage.billed_units is not None
    assert whole.usage.tokens is not None
    assert (whole.usage.tokens.input_tokens or 0) > (whole.usage.billed_units.input_tokens or 0) > 0


def test_system_prompt_and_turns_arrive(client: cohere.ClientV2) -> None:
    messages = [{"role": "system", "content": "Be brief."}, *says("One", "Two", "Three")]
    text = text_of(ask(client, messages=messages))
    assert 'I was told: "Be brief."' in text
    assert "turn 2" in text


def test_pictures_are_seen(client: cohere.ClientV2) -> None:
    inline = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": inline}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]
    text = text_of(ask(client, parts, model="command-a-vision-07-2025"))
    assert SEEN in text
    assert "an image at https://example.com/a.png" in text


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, ["get_weather", "find_place"]),
        ("REQUIRED", ["get_weather", "find_place"]),
        ("NONE", []),
    ],
)
def test_tools_are_chosen(client: cohere.ClientV2, choice: Any, expected: list[str]) -> None:
    more = {} if choice is None else {"tool_choice": choice}
    whole = ask(client, BOTH, tools=TOOLS, **more)
    calls = [call.function for call in whole.message.tool_calls or ()]
    assert [call.name for call in calls if call] == expected
    assert whole.finish_reason == ("TOOL_CALL" if expected else "COMPLETE")
    assert bool(whole.message.tool_plan) == bool(expected)
    events = streamed(client, BOTH, tools=TOOLS, **more)
    pieces: dict[int, list[str]] = {}
    for event in events:
        if event.type == "tool-call-delta":
            pieces.setdefault(event.index, []).append(event.delta.message.tool_calls.function.arguments)
    assert ["".join(each) for each in pieces.values()] == [call.arguments for call in calls if call]
    assert all(len(each) > 1 for each in pieces.values())
    plan = "".join(event.delta.message.tool_plan for event in events if event.type == "tool-plan-delta")
    assert plan == (whole.message.tool_plan or "")
    assert ending(events).finish_reason == whole.finish_reason


def test_tools_are_required_without_a_hint(client: cohere.ClientV2) -> None:
    assert len(ask(client, "Please help", tools=TOOLS, tool_choice="REQUIRED").message.tool_calls or ()) == 1


def test_an_answer_refers_to_the_results_of_tools(client: cohere.ClientV2) -> None:
    first = ask(client, BOTH, tools=TOOLS).message
    calls = first.tool_calls or []
    results = [
        {
            "role": "tool",
            "tool_call_id": call.id,
            "content": [{"type": "document", "document": {"data": {"result": str(i)}}}],
        }
        for i, call in enumerate(calls)
    ]
    turn = {"role": "assistant", "tool_plan": first.tool_plan, "tool_calls": calls}
    text = text_of(ask(client, messages=[*says(BOTH), turn, *results], tools=TOOLS))
    assert 'The tool says get_weather: {"result":"0"}; find_place: {"result":"1"}.' in text
    fewer = refusal_of(lambda: ask(client, messages=[*says(BOTH), turn, results[0]], tools=TOOLS))
    assert calls[1].id in str(fewer.body)


def test_structured_output_fits_its_schema(client: cohere.ClientV2) -> None:
    wanted: Any = {"type": "json_object", "json_schema": Plan.model_json_schema()}
    plan = Plan.model_validate_json(text_of(ask(client, "Plan it", response_format=wanted)))
    assert Plan.model_validate_json(said(streamed(client, "Plan it", response_format=wanted))) == plan
    assert isinstance(json.loads(text_of(ask(client, response_format={"type": "json_object"}))), dict)
    refused = refusal_of(lambda: ask(client, response_format=wanted, tools=TOOLS))
    assert "not supported together" in str(refused.body)


def test_stops_and_limits(client: cohere.ClientV2) -> None:
    full = text_of(ask(client))
    stopped = ask(client, stop_sequences=["zzz", "speaking"])
    assert (text_of(stopped), stopped.finish_reason) == (full[: full.index("speaking")], "STOP_SEQUENCE")
    short = ask(client, max_tokens=5)
    assert short.finish_reason == "MAX_TOKENS"
    assert ending(streamed(client, max_tokens=5)).finish_reason == "MAX_TOKENS"


def test_seeds(client: cohere.ClientV2) -> None:
    one, same, other = (text_of(ask(client, seed=seed)) for seed in (7, 7, 8))
    assert one == same != other


def test_log_probabilities(client: cohere.ClientV2) -> None:
    whole = ask(client, logprobs=True)
    assert "".join(each.text or "" for each in whole.logprobs or ()) == text_of(whole)
    deltas = [event for event in streamed(client, logprobs=True) if event.type == "content-delta"]
    assert all(delta.logprobs.text == delta.delta.message.content.text for delta in deltas)


def test_thoughts_are_part_of_the_content(client: cohere.ClientV2) -> None:
    model = "command-a-reasoning-08-2025"
    thoughts = {}
    for budget in (None, 4096):
        more: dict[str, Any] = {"thinking": {"type": "enabled", "token_budget": budget}} if budget else {}
        content = ask(client, model=model, **more).message.content or []
        assert content[0].type == "thinking"
        thoughts[budget] = content[0].thinking
        assert said(streamed(client, model=model, **more), "thinking") == content[0].thinking
    assert len(thoughts[4096] or "") > len(thoughts[None] or "")
    off = ask(client, model=model, thinking={"type": "disabled"}).message.content or []
    assert [part.type for part in off] == ["text"]


def test_refusals_and_filters(client: cohere.ClientV2) -> None:
    assert text_of(ask(client, "simulate a refusal")) == "I cannot help with that."
    assert ask(client, "simulate a content filter").finish_reason == "ERROR"
    assert isinstance(refusal_of(lambda: ask(client, "simulate a blocked prompt")), InvalidTokenError)


def test_a_repeated_beginning_is_cached(client: cohere.ClientV2) -> None:
    cached = []
    for question in ("One?", "Two?"):
        messages = [{"role": "system", "content": LONG}, *says(question)]
        usage = ask(client, messages=messages).usage
        assert usage is not None
        cached.append(usage.cached_tokens or 0)
    assert cached[0] == 0
    assert cached[1] >= 1024


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"temperature": -1}, BadRequestError, "temperature must be at least 0"),
        ({"p": 1.0}, BadRequestError, "p must be at most 0.99"),
        ({"k": 501}, BadRequestError, "k must be at most 500"),
        ({"stop_sequences": list("abcdef")}, BadRequestError, "more than 5 elements"),
        ({"frequency_penalty": 1.5}, BadRequestError, "frequency_penalty must be at most 1"),
        ({"max_tokens": 99_999}, BadRequestError, "max_tokens must be at most"),
        ({"tool_choice": "REQUIRED"}, BadRequestError, "together with tools"),
        ({"tool_choice": "auto", "tools": TOOLS}, UnprocessableEntityError, "tool_choice must be one of"),
        ({"messages": []}, BadRequestError, "at least one message"),
        ({"messages": says("One", "Two")}, BadRequestError, "role user or tool"),
        ({"model": "command-0"}, NotFoundError, "model 'command-0' not found"),
        ({"model": "embed-v4.0"}, BadRequestError, "not supported by the chat API"),
        (
            {"request_options": {"max_retries": 0, "additional_body_parameters": {"surprise": 1}}},
            UnprocessableEntityError,
            "parameter 'surprise' is not a valid field",
        ),
        (
            {"request_options": {"max_retries": 0, "additional_body_parameters": {"temperature": "hot"}}},
            UnprocessableEntityError,
            "is of type string but should be of type float",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "strict": True, "parameters": CITY}}]},
            UnprocessableEntityError,
            "parameter 'strict' is not a valid field",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "objekt"}}}]},
            BadRequestError,
            "unknown type 'objekt'",
        ),
    ],
)
def test_what_is_refused(
    client: cohere.ClientV2, more: dict[str, Any], error: type[ApiError], message: str
) -> None:
    refused = refusal_of(lambda: ask(client, **more))
    assert isinstance(refused, error)
    assert message in str(refused.body)


def test_embeddings(client: cohere.ClientV2) -> None:
    found = client.embed(
        model="embed-v4.0",
        texts=["the red house", "the red door"],
        input_type="search_query",
        embedding_types=["float", "int8", "ubinary", "base64"],
        output_dimension=256,
        request_options=ONCE,
    )
    rows = found.embeddings
    assert [len(row) for row in rows.float_ or ()] == [256, 256]
    assert [len(row) for row in rows.int8 or ()] == [256, 256]
    assert [len(row) for row in rows.ubinary or ()] == [32, 32]
    assert len(base64.b64decode((rows.base64 or [""])[0])) == 4 * 256
    assert found.texts == ["the red house", "the red door"]

    def embed(**more: Any) -> Any:
        given = {"model": "embed-v4.0", "texts": ["x"], "input_type": "search_query", "request_options": ONCE}
        return client.embed(**{**given, **more})

    assert "output_dimension" in str(refusal_of(lambda: embed(output_dimension=3)).body)
    assert "exactly one" in str(refusal_of(lambda: embed(images=["data:image/png;base64,x"])).body)


def test_documents_are_ranked(client: cohere.ClientV2) -> None:
    found = client.rerank(
        model="rerank-v4.0-pro",
        query="red door",
        documents=["quantum mechanics", "a red door", "a green door"],
        top_n=2,
        request_options=ONCE,
    )
    assert [each.index for each in found.results] == [1, 2]
    assert found.results[0].relevance_score > found.results[1].relevance_score


def test_tokens_and_models(client: cohere.ClientV2) -> None:
    found = client.tokenize(text="How many tokens?", model=MODEL, offline=False)
    assert "".join(found.token_strings) == "Howmanytokens?"
    assert len(found.tokens) == len(found.token_strings)
    models = client.models.list().models
    assert MODEL in [model.name for model in models]
    assert client.models.get(MODEL).context_length == 256_000
    assert [model.name for model in client.models.list(endpoint="rerank").models] == ["rerank-v4.0-pro"]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("auth", UnauthorizedError),
        ("forbidden", ForbiddenError),
        ("rate_limited", TooManyRequestsError),
        ("quota_exhausted", ApiError),
        ("error_500", InternalServerError),
        ("overloaded", ServiceUnavailableError),
        ("timeout", GatewayTimeoutError),
    ],
)
def test_faults_are_the_vendors_errors(
    client: cohere.ClientV2, simulator: Launched, fault: str, error: type[ApiError]
) -> None:
    simulator.fault(fault, retry_after_s=7)
    refused = refusal_of(lambda: ask(client))
    assert isinstance(refused, error)
    headers = refused.headers or {}
    assert (headers.get("retry-after") == "7") == (fault == "rate_limited")
    assert headers["x-debug-trace-id"]
    assert (refused.status_code == 402) == (fault == "quota_exhausted")
    assert refusal_of(lambda: streamed(client)).status_code == refused.status_code


def test_an_error_in_a_stream_is_a_finish_reason(client: cohere.ClientV2, simulator: Launched) -> None:
    simulator.fault("stream_error", after_chunks=2)
    assert ending(streamed(client)).finish_reason == "ERROR"


def test_a_drift_is_taken_by_the_sdk(client: cohere.ClientV2, simulator: Launched) -> None:
    expected = text_of(ask(client))
    simulator.fault("drift")
    assert text_of(ask(client)) == expected
    assert said([event for event in streamed(client) if hasattr(event, "delta")]) == expected
