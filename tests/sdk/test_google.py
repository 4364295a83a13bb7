"""The official google-genai SDK against the simulated Gemini API: content, streams, counts, embeddings, models, errors."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from fairlead_simulator.testing import Launched
from google import genai
from google.genai import errors, types

from tests.sdk.samples import BOTH, CITY, LONG, PLACE, PNG, SEEN, Plan

VENDOR = "google"
MODEL = "gemini-3.8-flash"
QUESTION = "How do I compare providers?"
TOOLS = [
    types.Tool(
        function_declarations=[
            types.FunctionDeclaration(name="get_weather", parameters_json_schema=CITY),
            types.FunctionDeclaration(
                name="find_place",
                parameters=types.Schema(
                    type=types.Type.OBJECT,
                    properties={
                        "kind": types.Schema(type=types.Type.STRING, enum=PLACE["properties"]["kind"]["enum"])
                    },
                    required=["kind"],
                ),
            ),
        ]
    )
]
BY_HAND = types.AutomaticFunctionCallingConfig(disable=True)


def connected(simulator: Launched, version: str) -> genai.Client:
    options = types.HttpOptions(base_url=simulator.url, api_version=version)
    return genai.Client(api_key="test-key", http_options=options)


@pytest.fixture(scope="module")
def client(process: Launched) -> Iterator[genai.Client]:
    found = connected(process, "v1")
    yield found
    found.close()


def ask(
    client: genai.Client, contents: Any = QUESTION, model: str = MODEL, **config: Any
) -> types.GenerateContentResponse:
    found = client.models.generate_content(
        model=model, contents=contents, config=types.GenerateContentConfig(**config)
    )
    assert isinstance(found, types.GenerateContentResponse)
    return found


def streamed(
    client: genai.Client, contents: Any = QUESTION, model: str = MODEL, **config: Any
) -> list[types.GenerateContentResponse]:
    return list(
        client.models.generate_content_stream(
            model=model, contents=contents, config=types.GenerateContentConfig(**config)
        )
    )


def first(found: types.GenerateContentResponse) -> types.Candidate:
    assert found.candidates
    return found.candidates[0]


def parts(found: types.GenerateContentResponse) -> list[types.Part]:
    content = first(found).content
    return list(content.parts or ()) if content else []


def text_of(*chunks: types.GenerateContentResponse) -> str:
    return "".join(part.text or "" for chunk in chunks for part in parts(chunk) if not part.thought)


def usage_of(found: types.GenerateContentResponse) -> types.GenerateContentResponseUsageMetadata:
    assert found.usage_metadata is not None
    return found.usage_metadata


def refusal_of(call: Any) -> errors.APIError:
    with pytest.raises(errors.APIError) as failed:
        call()
    return failed.value


def test_an_answer_and_its_stream_say_the_same(client: genai.Client) -> None:
    whole = ask(client)
    assert MODEL in text_of(whole)
    assert first(whole).finish_reason == types.FinishReason.STOP
    assert (whole.model_version, bool(whole.response_id)) == (MODEL, True)
    chunks = streamed(client)
    assert text_of(*chunks) == text_of(whole)
    assert [first(chunk).finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert first(chunks[-1]).finish_reason == types.FinishReason.STOP
    assert usage_of(chunks[-1]) == usage_of(whole)
    used = usage_of(whole)
    assert used.thoughts_token_count
    assert used.total_token_count == (
        (used.prompt_token_count or 0) + (used.candidates_token_count or 0) + used.thoughts_token_count
    )


def test_the_beta_version_answers_alike(client: genai.Client, simulator: Launched) -> None:
    beta = connected(simulator, "v1beta")
    assert text_of(ask(beta)) == text_of(*streamed(beta)) == text_of(ask(client))
    assert [model.name for model in beta.models.list()] == [model.name for model in client.models.list()]
    assert "v1beta" in str(refusal_of(lambda: ask(beta, model="gemini-0")))
    beta.close()


def test_a_stream_without_events_is_one_json_array(simulator: Launched) -> None:
    body = json.dumps({"contents": [{"parts": [{"text": QUESTION}]}]}).encode()
    headers = {"x-goog-api-key": "k", "content-type": "application/json"}
    url = f"{simulator.url}/v1beta/models/{MODEL}:streamGenerateContent"
    with urlopen(Request(url, body, headers), timeout=10) as answer:
        chunks = json.load(answer)
    assert len(chunks) > 5
    assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"
    with pytest.raises(HTTPError) as failed:
        urlopen(Request(url, b"{}", headers), timeout=10)
    assert json.load(failed.value)[0]["error"]["status"] == "INVALID_ARGUMENT"
    failed.value.close()


def test_system_prompt_and_turns_arrive(client: genai.Client) -> None:
    chat = client.chats.create(
        model=MODEL, config=types.GenerateContentConfig(system_instruction="Be brief.")
    )
    assert "turn" not in text_of(chat.send_message("One"))
    text = text_of(chat.send_message("Two"))
    assert 'I was told: "Be brief."' in text
    assert "turn 2" in text


def test_pictures_are_seen(client: genai.Client) -> None:
    given = [
        types.Part.from_bytes(data=PNG, mime_type="image/png"),
        types.Part.from_uri(file_uri="https://example.com/a.png", mime_type="image/png"),
        "What is this?",
    ]
    found = ask(client, given)
    assert SEEN in text_of(found)
    assert "an image at https://example.com/a.png" in text_of(found)
    assert {detail.modality for detail in usage_of(found).prompt_tokens_details or ()} == {
        types.MediaModality.TEXT,
        types.MediaModality.IMAGE,
    }
    broken = types.Part.from_bytes(data=b"no picture", mime_type="image/png")
    assert "process input image" in str(refusal_of(lambda: ask(client, [broken])))


@pytest.mark.parametrize(
    ("mode", "allowed", "expected"),
    [
        ("AUTO", None, ["get_weather", "find_place"]),
        ("ANY", None, ["get_weather", "find_place"]),
        ("ANY", ["find_place"], ["find_place"]),
        ("NONE", None, []),
    ],
)
def test_tools_are_chosen(
    client: genai.Client, mode: str, allowed: list[str] | None, expected: list[str]
) -> None:
    calling = types.FunctionCallingConfig(
        mode=types.FunctionCallingConfigMode(mode), allowed_function_names=allowed
    )
    config: dict[str, Any] = {
        "tools": TOOLS,
        "automatic_function_calling": BY_HAND,
        "tool_config": types.ToolConfig(function_calling_config=calling),
    }
    whole = ask(client, BOTH, **config)
    assert [call.name for call in whole.function_calls or ()] == expected
    assert first(whole).finish_reason == types.FinishReason.STOP
    assert bool(parts(whole)[0].thought_signature) == bool(expected)
    chunks = streamed(client, BOTH, **config)
    calls = [call for chunk in chunks for call in chunk.function_calls or ()]
    assert [(call.name, call.args) for call in calls] == [
        (call.name, call.args) for call in whole.function_calls or ()
    ]


def test_an_answer_refers_to_the_results_of_tools(client: genai.Client) -> None:
    config: dict[str, Any] = {"tools": TOOLS, "automatic_function_calling": BY_HAND}
    called = ask(client, BOTH, **config)
    turn = first(called).content
    assert turn is not None
    assert turn.parts
    results = types.Content(
        role="user",
        parts=[
            types.Part(
                function_response=types.FunctionResponse(id=call.id, name=call.name, response={"result": i})
            )
            for i, call in enumerate(called.function_calls or ())
        ],
    )
    question = types.Content(role="user", parts=[types.Part(text=BOTH)])
    text = text_of(ask(client, [question, turn, results], **config))
    assert 'The tool says get_weather: {"result":0}; find_place: {"result":1}.' in text
    assert results.parts
    fewer = types.Content(role="user", parts=results.parts[:1])
    assert "number of function response parts" in str(
        refusal_of(lambda: ask(client, [question, turn, fewer], **config))
    )
    assert "immediately after a function call turn" in str(
        refusal_of(lambda: ask(client, [question, results], **config))
    )
    unsigned = types.Content(
        role="model", parts=[types.Part(function_call=part.function_call) for part in turn.parts]
    )
    refused = refusal_of(lambda: ask(client, [question, unsigned, results], **config))
    assert "thought_signature" in str(refused)
    assert text_of(ask(client, [question, unsigned, results], model="gemini-2.5-flash", **config))


def test_functions_are_called_by_the_sdk_itself(client: genai.Client) -> None:
    def get_weather(city: str) -> str:
        """The weather in a city."""
        return f"rain in {city}"

    text = text_of(ask(client, "Call get_weather", tools=[get_weather]))
    assert "The tool says get_weather:" in text
    assert "rain in" in text


def test_structured_output_is_parsed(client: genai.Client) -> None:
    config: dict[str, Any] = {"response_mime_type": "application/json", "response_schema": Plan}
    parsed = ask(client, "Plan it", **config).parsed
    assert isinstance(parsed, Plan)
    assert Plan.model_validate_json(text_of(*streamed(client, "Plan it", **config))) == parsed
    plain = ask(client, "x", response_mime_type="application/json", response_json_schema=CITY)
    assert set(json.loads(text_of(plain))) == {"city", "days"}
    assert isinstance(json.loads(text_of(ask(client, "x", response_mime_type="application/json"))), dict)
    assert "response_mime_type" in str(refusal_of(lambda: ask(client, "x", response_json_schema=CITY)))


def test_stops_and_limits(client: genai.Client) -> None:
    full = text_of(ask(client))
    stopped = ask(client, stop_sequences=["zzz", "speaking"])
    assert (text_of(stopped), first(stopped).finish_reason) == (
        full[: full.index("speaking")],
        types.FinishReason.STOP,
    )
    short = ask(client, max_output_tokens=10)
    assert first(short).finish_reason == types.FinishReason.MAX_TOKENS
    assert (usage_of(short).candidates_token_count or 0) + (usage_of(short).thoughts_token_count or 0) == 10
    assert first(streamed(client, max_output_tokens=10)[-1]).finish_reason == types.FinishReason.MAX_TOKENS


def test_seeds_and_several_candidates(client: genai.Client) -> None:
    one, same, other = (ask(client, seed=seed, candidate_count=2).candidates for seed in (7, 7, 8))
    assert one == same
    assert one
    assert one != other
    assert one[0].content != one[1].content
    chunks = streamed(client, seed=7, candidate_count=2)
    texts = ["", ""]
    for chunk in chunks:
        texts[first(chunk).index or 0] += text_of(chunk)
    assert texts == ["".join(p.text or "" for p in (c.content.parts or ())) for c in one if c.content]


def test_log_probabilities(client: genai.Client) -> None:
    candidate = first(ask(client, response_logprobs=True, logprobs=2))
    assert candidate.logprobs_result is not None
    assert candidate.avg_logprobs is not None
    chosen = candidate.logprobs_result.chosen_candidates or []
    assert "".join(each.token or "" for each in chosen) == text_of(ask(client))
    assert all(len(each.candidates or ()) == 2 for each in candidate.logprobs_result.top_candidates or ())


def test_thoughts(client: genai.Client) -> None:
    counts = []
    for level in (types.ThinkingLevel.LOW, types.ThinkingLevel.HIGH):
        config = types.ThinkingConfig(thinking_level=level, include_thoughts=True)
        whole = ask(client, thinking_config=config)
        thoughts = "".join(part.text or "" for part in parts(whole) if part.thought)
        assert "Let me think" in thoughts
        counts.append(usage_of(whole).thoughts_token_count or 0)
        shown = "".join(
            part.text or ""
            for chunk in streamed(client, thinking_config=config)
            for part in parts(chunk)
            if part.thought
        )
        assert shown == thoughts
    assert 0 < counts[0] < counts[1]
    off = types.ThinkingConfig(thinking_budget=0)
    assert usage_of(ask(client, model="gemini-2.5-flash", thinking_config=off)).thoughts_token_count is None
    assert "thinking mode" in str(
        refusal_of(lambda: ask(client, model="gemini-3.1-pro-preview", thinking_config=off))
    )
    low = types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW)
    assert "not supported" in str(
        refusal_of(lambda: ask(client, model="gemini-2.5-flash", thinking_config=low))
    )
    assert not [part for part in parts(ask(client)) if part.thought]


def test_refusals_and_filters(client: genai.Client) -> None:
    refused = ask(client, "simulate a refusal")
    assert (first(refused).finish_reason, text_of(refused)) == (types.FinishReason.SAFETY, "")
    assert first(streamed(client, "simulate a refusal")[-1]).finish_reason == types.FinishReason.SAFETY
    filtered = ask(client, "simulate a content filter")
    assert first(filtered).finish_reason == types.FinishReason.SAFETY
    assert text_of(filtered)
    for blocked in (
        ask(client, "simulate a blocked prompt"),
        streamed(client, "simulate a blocked prompt")[-1],
    ):
        assert blocked.candidates is None
        assert blocked.prompt_feedback is not None
        assert blocked.prompt_feedback.block_reason == types.BlockedReason.SAFETY
    broken = ask(
        client, f"{BOTH} simulate a broken tool call", tools=TOOLS, automatic_function_calling=BY_HAND
    )
    assert first(broken).finish_reason == types.FinishReason.MALFORMED_FUNCTION_CALL


def test_a_repeated_beginning_is_cached(client: genai.Client) -> None:
    cached = [
        usage_of(ask(client, question, system_instruction=LONG)).cached_content_token_count
        for question in ("One?", "Two?")
    ]
    assert cached[0] is None
    assert (cached[1] or 0) >= 2048


def test_tokens_are_counted_as_they_are_charged(client: genai.Client) -> None:
    counted = client.models.count_tokens(model=MODEL, contents=QUESTION)
    assert counted.total_tokens == usage_of(ask(client)).prompt_token_count


def test_embeddings(client: genai.Client) -> None:
    found = client.models.embed_content(
        model="gemini-embedding-001",
        contents=["the red house", "the red door"],
        config=types.EmbedContentConfig(output_dimensionality=768, task_type="RETRIEVAL_QUERY"),
    ).embeddings
    assert found is not None
    assert [len(each.values or ()) for each in found] == [768, 768]
    one = client.models.embed_content(model="gemini-embedding-2", contents=["a", "b"]).embeddings
    assert one is not None
    assert [len(each.values or ()) for each in one] == [3072]
    assert refusal_of(lambda: client.models.embed_content(model=MODEL, contents="x")).code == 404


def test_models(client: genai.Client) -> None:
    models = list(client.models.list(config={"page_size": 2}))
    assert f"models/{MODEL}" in [model.name for model in models]
    assert len(models) > 4
    found = client.models.get(model=MODEL)
    assert (found.thinking, found.input_token_limit, found.max_temperature) == (True, 1_048_576, 2)
    refused = refusal_of(lambda: ask(client, model="gemini-0"))
    assert (refused.code, refused.status) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"temperature": 2.5}, "temperature must be at most 2"),
        ({"top_p": -0.1}, "top_p must be at least 0"),
        ({"candidate_count": 9}, "candidate_count must be at most 8"),
        ({"stop_sequences": list("abcdef")}, "at most 5 elements"),
        ({"max_output_tokens": 99_999}, "maxOutputTokens value of 99999"),
        ({"logprobs": 3}, "response_logprobs"),
        ({"response_mime_type": "text/html"}, "response_mime_type"),
        ({"http_options": {"extra_body": {"surprise": 1}}}, 'Unknown name "surprise"'),
        (
            {"http_options": {"extra_body": {"generationConfig": {"temperature": "hot"}}}},
            "Invalid value at 'generation_config.temperature' (TYPE_FLOAT)",
        ),
        (
            {"tools": [{"function_declarations": [{"name": "a b", "parameters_json_schema": CITY}]}]},
            "Invalid function name",
        ),
        (
            {
                "tools": [
                    {"function_declarations": [{"name": "f", "parameters_json_schema": {"type": "objekt"}}]}
                ]
            },
            "unknown type 'objekt'",
        ),
        (
            {
                "tools": TOOLS,
                "tool_config": {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["g"]}},
            },
            "not among the declared functions",
        ),
    ],
)
def test_what_is_refused(client: genai.Client, config: dict[str, Any], message: str) -> None:
    refused = refusal_of(lambda: ask(client, automatic_function_calling=BY_HAND, **config))
    assert isinstance(refused, errors.ClientError)
    assert (refused.code, refused.status) == (400, "INVALID_ARGUMENT")
    assert message in str(refused.message)


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        ("auth", 401, "UNAUTHENTICATED"),
        ("bad_key", 400, "INVALID_ARGUMENT"),
        ("forbidden", 403, "PERMISSION_DENIED"),
        ("rate_limited", 429, "RESOURCE_EXHAUSTED"),
        ("spend_limit", 429, "RESOURCE_EXHAUSTED"),
        ("quota_exhausted", 402, "FAILED_PRECONDITION"),
        ("error_500", 500, "INTERNAL"),
        ("overloaded", 503, "UNAVAILABLE"),
        ("timeout", 504, "DEADLINE_EXCEEDED"),
    ],
)
def test_faults_are_the_vendors_errors(
    client: genai.Client, simulator: Launched, fault: str, code: int, status: str
) -> None:
    simulator.fault(fault, retry_after_s=7)
    refused = refusal_of(lambda: ask(client))
    assert isinstance(refused, errors.ServerError if code >= 500 else errors.ClientError)
    assert (refused.code, refused.status) == (code, status)
    assert ("'retryDelay': '7s'" in str(refused.details)) == (fault == "rate_limited")
    assert refusal_of(lambda: streamed(client)).code == code


def test_an_error_in_a_stream(client: genai.Client, simulator: Launched) -> None:
    simulator.fault("stream_error", after_chunks=2)
    refused = refusal_of(lambda: streamed(client))
    assert (refused.code, refused.status) == (503, "UNAVAILABLE")


def test_a_drift_is_taken_by_the_sdk(client: genai.Client, simulator: Launched) -> None:
    expected = text_of(ask(client))
    simulator.fault("drift")
    assert text_of(ask(client)) == text_of(*streamed(client)) == expected


def test_interactions(client: genai.Client) -> None:
    found: Any = client.interactions.create(model=MODEL, input=QUESTION)
    assert found.status == "completed"
    assert MODEL in str(found.model_dump())


def test_no_key_no_answer(simulator: Launched) -> None:
    with pytest.raises(HTTPError, match="403") as failed:
        urlopen(f"{simulator.url}/v1/models", timeout=10)
    failed.value.close()
    with urlopen(f"{simulator.url}/v1/models?key=k", timeout=10) as answer:
        assert answer.status == 200
