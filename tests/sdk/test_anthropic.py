"""The official anthropic SDK against the simulated Anthropic: messages in both versions, token counts, models, errors."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic.types import Message
from fairlead_simulator.testing import Launched

from tests.sdk.samples import BOTH, CITY, LONG, PLACE, PNG, SEEN, Plan

VENDOR = "anthropic"
MODEL = "claude-sonnet-5-5"
OLD = {"anthropic-version": "2023-06-01"}
TOOLS: Any = [
    {"name": "get_weather", "description": "The weather", "input_schema": CITY},
    {"name": "find_place", "input_schema": PLACE},
]


@pytest.fixture(scope="module")
def client(process: Launched) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        api_key="sk-test", base_url=process.url, max_retries=0, _strict_response_validation=True
    ) as found:
        yield found


def says(*texts: Any) -> Any:
    """User and assistant turns, in turn."""
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


def asked(prompt: Any, more: dict[str, Any]) -> dict[str, Any]:
    return {"model": MODEL, "max_tokens": 400, "messages": says(prompt), **more}


def ask(client: anthropic.Anthropic, prompt: Any = "How do I compare providers?", **more: Any) -> Message:
    found = client.messages.create(**asked(prompt, more))
    assert isinstance(found, Message)
    return found


def streamed(
    client: anthropic.Anthropic, prompt: Any = "How do I compare providers?", **more: Any
) -> Message:
    """The message that the SDK's stream helper builds; the raw events are checked on the way."""
    kinds = [event.type for event in client.messages.create(**asked(prompt, more), stream=True)]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert kinds.count("content_block_start") == kinds.count("content_block_stop")
    with client.messages.stream(**asked(prompt, more)) as stream:
        return stream.get_final_message()


def text_of(message: Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def shape(message: Message) -> list[dict[str, Any]]:
    """The content without ids, which are new with each answer, and without fields that a stream leaves out."""
    return [block.model_dump(exclude={"id", "parsed_output"}, exclude_none=True) for block in message.content]


def refusal_of(call: Any) -> anthropic.APIStatusError:
    with pytest.raises(anthropic.APIStatusError) as failed:
        call()
    return failed.value


def test_an_answer_and_its_stream_say_the_same(client: anthropic.Anthropic) -> None:
    whole = ask(client)
    assert MODEL in text_of(whole)
    assert (whole.stop_reason, whole.stop_sequence, whole.role) == ("end_turn", None, "assistant")
    found = streamed(client)
    assert shape(found) == shape(whole)
    assert found.stop_reason == "end_turn"
    assert found.usage.output_tokens == whole.usage.output_tokens
    assert found.usage.input_tokens == whole.usage.input_tokens
    assert found.id != whole.id


@pytest.mark.parametrize("system", ["Be brief.", [{"type": "text", "text": "Be brief."}]])
def test_system_prompt_and_turns_arrive(client: anthropic.Anthropic, system: Any) -> None:
    text = text_of(ask(client, system=system, messages=says("One", "Two", "Three")))
    assert 'I was told: "Be brief."' in text
    assert "turn 2" in text


def test_pictures_are_seen(client: anthropic.Anthropic) -> None:
    data = base64.b64encode(PNG).decode()
    inline = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    linked = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    text = text_of(ask(client, [inline, linked, {"type": "text", "text": "What is this?"}]))
    assert SEEN in text
    assert "an image at https://example.com/a.png" in text
    inline["source"] = {"type": "base64", "media_type": "image/tiff", "data": data}
    assert "media_type" in str(refusal_of(lambda: ask(client, [inline])))


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, ["get_weather", "find_place"]),
        ({"type": "auto", "disable_parallel_tool_use": True}, ["get_weather"]),
        ({"type": "any"}, ["get_weather", "find_place"]),
        ({"type": "tool", "name": "find_place"}, ["find_place"]),
        ({"type": "none"}, []),
    ],
)
def test_tools_are_chosen(client: anthropic.Anthropic, choice: Any, expected: list[str]) -> None:
    whole = ask(client, BOTH, tools=TOOLS, tool_choice=choice)
    calls = [block for block in whole.content if block.type == "tool_use"]
    assert [call.name for call in calls] == expected
    assert all(call.id.startswith("toolu_") and isinstance(call.input, dict) for call in calls)
    assert whole.stop_reason == ("tool_use" if expected else "end_turn")
    assert shape(streamed(client, BOTH, tools=TOOLS, tool_choice=choice)) == shape(whole)


def test_calls_are_streamed_in_pieces(client: anthropic.Anthropic) -> None:
    pieces: dict[int, list[str]] = {}
    for event in client.messages.create(**asked(BOTH, {"tools": TOOLS}), stream=True):
        if event.type == "content_block_delta" and event.delta.type == "input_json_delta":
            pieces.setdefault(event.index, []).append(event.delta.partial_json)
    assert len(pieces) == 2
    assert all(len(each) > 2 and isinstance(json.loads("".join(each)), dict) for each in pieces.values())


def test_an_answer_refers_to_the_results_of_tools(client: anthropic.Anthropic) -> None:
    first = ask(client, BOTH, tools=TOOLS)
    calls = [block for block in first.content if block.type == "tool_use"]
    results = [
        {"type": "tool_result", "tool_use_id": calls[0].id, "content": "3 degrees"},
        {
            "type": "tool_result",
            "tool_use_id": calls[1].id,
            "is_error": True,
            "content": [{"type": "text", "text": "lost"}],
        },
    ]
    text = text_of(ask(client, messages=says(BOTH, first.content, results), tools=TOOLS))
    assert "The tool says get_weather: 3 degrees; find_place failed with: lost." in text
    refused = refusal_of(lambda: ask(client, messages=says(BOTH, first.content, results[:1]), tools=TOOLS))
    assert calls[1].id in str(refused)
    assert "unexpected `tool_use_id`" in str(refusal_of(lambda: ask(client, results)))


def test_structured_output_is_parsed(client: anthropic.Anthropic) -> None:
    parsed = client.messages.parse(model=MODEL, max_tokens=400, messages=says("Plan it"), output_format=Plan)
    assert isinstance(parsed.parsed_output, Plan)
    with client.messages.stream(
        model=MODEL, max_tokens=400, messages=says("Plan it"), output_format=Plan
    ) as stream:
        assert stream.get_final_message().parsed_output == parsed.parsed_output
    wanted = {"format": {"type": "json_schema", "schema": {"type": "object", "properties": {}}}}
    assert "additionalProperties" in str(refusal_of(lambda: ask(client, output_config=wanted)))


def test_stops_and_limits(client: anthropic.Anthropic) -> None:
    full = text_of(ask(client))
    stopped = ask(client, stop_sequences=["zzz", "speaking"])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "speaking")
    assert text_of(stopped) == full[: full.index("speaking")]
    assert streamed(client, stop_sequences=["speaking"]).stop_sequence == "speaking"
    short = ask(client, max_tokens=5)
    assert (short.stop_reason, short.usage.output_tokens) == ("max_tokens", 5)
    assert streamed(client, max_tokens=5).stop_reason == "max_tokens"


def test_thoughts_are_shown_when_asked_for(client: anthropic.Anthropic) -> None:
    shown: Any = {"type": "adaptive", "display": "summarized"}
    whole = ask(client, thinking=shown, output_config={"effort": "high"})
    thought = whole.content[0]
    assert thought.type == "thinking"
    assert "Let me think" in thought.thinking
    assert thought.signature
    assert whole.usage.output_tokens_details is not None
    assert 0 < whole.usage.output_tokens_details.thinking_tokens < whole.usage.output_tokens
    assert shape(streamed(client, thinking=shown, output_config={"effort": "high"})) == shape(whole)
    silent = ask(client, thinking={"type": "adaptive"}).content[0]
    assert silent.type == "thinking"
    assert (silent.thinking, bool(silent.signature)) == ("", True)
    assert (
        ask(client, messages=says("One", whole.content, "Two"), thinking=shown).content[0].type == "thinking"
    )


def test_thinking_with_a_budget(client: anthropic.Anthropic) -> None:
    budget = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2048}
    assert ask(client, model="claude-haiku-4-5", **budget).content[0].type == "thinking"
    assert "adaptive" in str(refusal_of(lambda: ask(client, **budget)))
    less = {**budget, "max_tokens": 1000}
    assert "max_tokens" in str(refusal_of(lambda: ask(client, model="claude-haiku-4-5", **less)))
    forced = {"tools": TOOLS, "tool_choice": {"type": "any"}, "thinking": {"type": "adaptive"}}
    assert "tool_choice" in str(refusal_of(lambda: ask(client, **forced)))


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k"])
def test_the_new_version_takes_no_sampling_parameters(client: anthropic.Anthropic, name: str) -> None:
    body = {name: 1}
    refused = refusal_of(lambda: ask(client, model="claude-haiku-4-5", extra_body=body))
    assert isinstance(refused, anthropic.BadRequestError)
    assert f"{name}: Extra inputs are not permitted" in str(refused)
    assert text_of(ask(client, model="claude-haiku-4-5", extra_body=body, extra_headers=OLD))


def test_the_old_version_checks_sampling_parameters(client: anthropic.Anthropic) -> None:
    def old(model: str, **body: Any) -> Message:
        return ask(client, model=model, extra_body=body, extra_headers=OLD)

    assert "less than or equal to 1" in str(refusal_of(lambda: old("claude-haiku-4-5", temperature=1.5)))
    assert "both" in str(refusal_of(lambda: old("claude-haiku-4-5", temperature=0.5, top_p=0.5)))
    assert "deprecated" in str(refusal_of(lambda: old(MODEL, temperature=0.5)))
    assert text_of(old(MODEL, temperature=1))


def test_the_new_version_is_stricter_about_blocks(client: anthropic.Anthropic) -> None:
    document = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}
    turns = says("One", [document], "Two")
    assert "document" in str(refusal_of(lambda: ask(client, messages=turns)))
    assert text_of(ask(client, messages=turns, extra_headers=OLD))
    cited = [{"type": "text", "text": "x", "citations": [{"type": "char_location"}]}]
    assert "citations" in str(refusal_of(lambda: ask(client, cited)))


def test_refusals_and_pauses(client: anthropic.Anthropic) -> None:
    refusal = ask(client, "simulate a refusal")
    assert refusal.stop_reason == "refusal"
    assert refusal.stop_details is not None
    assert streamed(client, "simulate a refusal").stop_reason == "refusal"
    blocked = ask(client, "simulate a blocked prompt")
    assert (blocked.stop_reason, blocked.content) == ("refusal", [])
    assert streamed(client, "simulate a blocked prompt").content == []
    assert ask(client, "simulate a pause").stop_reason == "pause_turn"
    assert ask(client, "simulate a content filter").stop_reason == "refusal"


def test_prompts_are_cached_where_they_are_marked(client: anthropic.Anthropic) -> None:
    def usage(question: str, **control: Any) -> tuple[int, int, int]:
        system = [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral", **control}}]
        found = ask(client, question, system=system).usage
        assert found.cache_read_input_tokens is not None
        assert found.cache_creation_input_tokens is not None
        return found.input_tokens, found.cache_creation_input_tokens, found.cache_read_input_tokens

    first, second = usage("One?"), usage("Two?")
    assert first[1] >= 1024
    assert (second[1], second[2]) == (0, first[1])
    assert first[0] == second[0] < 20
    plain = ask(client, "One?", system=LONG).usage
    assert plain.input_tokens == sum(first)
    assert plain.cache_read_input_tokens == 0
    longer = ask(client, "Three?", system=LONG + LONG, cache_control={"type": "ephemeral", "ttl": "1h"}).usage
    assert longer.cache_creation is not None
    assert longer.cache_creation.ephemeral_1h_input_tokens > 1024


def test_tokens_are_counted_as_they_are_charged(client: anthropic.Anthropic) -> None:
    counted = client.messages.count_tokens(model=MODEL, messages=says(BOTH), system="Be brief.", tools=TOOLS)
    assert counted.input_tokens == ask(client, BOTH, system="Be brief.", tools=TOOLS).usage.input_tokens


def test_models_are_listed_page_by_page(client: anthropic.Anthropic) -> None:
    models = list(client.models.list(limit=2))
    assert MODEL in [model.id for model in models]
    assert len({model.id for model in models}) == len(models) > 2
    found = client.models.retrieve(MODEL)
    assert found.lifecycle == "active"
    assert found.capabilities is not None
    assert found.capabilities.thinking.types.adaptive.supported
    assert not found.capabilities.thinking.types.enabled.supported


def test_both_kinds_of_key_are_taken(simulator: Launched) -> None:
    bearer = anthropic.Anthropic(auth_token="tok", base_url=simulator.url, max_retries=0)
    header = anthropic.Anthropic(
        api_key="k", base_url=simulator.url, max_retries=0, default_headers={"x-api-key": "k"}
    )
    assert text_of(ask(bearer)) == text_of(ask(header))
    refused = refusal_of(lambda: ask(bearer, extra_headers={"authorization": anthropic.Omit()}))
    assert isinstance(refused, anthropic.AuthenticationError)


def test_headers(client: anthropic.Anthropic) -> None:
    raw = client.messages.with_raw_response.create(**asked("Hi", {}))
    assert raw.request_id
    for name in ("requests", "tokens", "input-tokens", "output-tokens"):
        assert int(raw.headers[f"anthropic-ratelimit-{name}-remaining"]) > 0
        assert raw.headers[f"anthropic-ratelimit-{name}-reset"].endswith("Z")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"extra_body": {"surprise": 1}}, "surprise: Extra inputs are not permitted"),
        ({"extra_body": {"max_tokens": None}}, "max_tokens: Field required"),
        ({"extra_body": {"max_tokens": 999_999}}, "maximum allowed number of output tokens"),
        ({"messages": []}, "at least one message is required"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role: Input should be"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, 'first message must use the "user" role'),
        ({"messages": says("One", "Prefilled")}, "does not support assistant message prefill"),
        ({"messages": says([{"type": "text", "text": ""}])}, "must be non-empty"),
        (
            {"tools": [{"name": "a b", "input_schema": CITY}]},
            "tools.0.custom.name: String should match pattern",
        ),
        ({"tools": [{"name": "f", "input_schema": {"type": "objekt"}}]}, "JSON schema is invalid"),
        ({"tools": [{"name": "f", "input_schema": {}}]}, "tools.0.custom.input_schema.type: Field required"),
        ({"tools": [TOOLS[0], TOOLS[0]]}, "Tool names must be unique"),
        ({"tools": TOOLS, "tool_choice": {"type": "tool", "name": "g"}}, "'g' not found"),
        ({"output_config": {"effort": "extreme"}}, "output_config.effort: Input should be 'low', "),
        ({"extra_headers": {"anthropic-version": "2020-01-01"}}, "is not a valid version"),
    ],
)
def test_what_is_refused(client: anthropic.Anthropic, more: dict[str, Any], message: str) -> None:
    refused = refusal_of(lambda: ask(client, **more))
    assert isinstance(refused, anthropic.BadRequestError)
    assert message in str(refused)
    assert isinstance(refused.body, dict)
    assert refused.body["error"]["type"] == "invalid_request_error"
    assert refused.body["request_id"] == refused.request_id


def test_models_differ(client: anthropic.Anthropic) -> None:
    assert isinstance(refusal_of(lambda: ask(client, model="claude-0")), anthropic.NotFoundError)
    prefilled = ask(client, model="claude-haiku-4-5", messages=says("One", "Two"))
    assert prefilled.stop_reason == "end_turn"
    effort: Any = {"effort": "low"}
    assert "effort" in str(refusal_of(lambda: ask(client, model="claude-haiku-4-5", output_config=effort)))


def test_a_full_window_ends_the_answer(client: anthropic.Anthropic) -> None:
    full = ask(client, "word " * 199_990, model="claude-haiku-4-5", max_tokens=1000)
    assert full.stop_reason == "model_context_window_exceeded"
    assert "too long" in str(refusal_of(lambda: ask(client, "word " * 200_001, model="claude-haiku-4-5")))


@pytest.mark.parametrize(
    ("fault", "error", "kind"),
    [
        ("auth", anthropic.AuthenticationError, "authentication_error"),
        ("forbidden", anthropic.PermissionDeniedError, "permission_error"),
        ("rate_limited", anthropic.RateLimitError, "rate_limit_error"),
        ("spend_limit", anthropic.RateLimitError, "rate_limit_error"),
        ("quota_exhausted", anthropic.PaymentRequiredError, "billing_error"),
        ("too_large", anthropic.ContentTooLargeError, "request_too_large"),
        ("error_500", anthropic.InternalServerError, "api_error"),
        ("timeout", anthropic.GatewayTimeoutError, "timeout_error"),
        ("overloaded", anthropic.OverloadedError, "overloaded_error"),
    ],
)
def test_faults_are_the_vendors_errors(
    client: anthropic.Anthropic,
    simulator: Launched,
    fault: str,
    error: type[anthropic.APIStatusError],
    kind: str,
) -> None:
    simulator.fault(fault, retry_after_s=7)
    refused = refusal_of(lambda: ask(client))
    assert isinstance(refused, error)
    assert isinstance(refused.body, dict)
    assert refused.body["error"]["type"] == kind
    assert (refused.response.headers.get("retry-after") == "7") == (fault == "rate_limited")
    if fault == "spend_limit":
        assert refused.body["error"]["details"] == {"error_code": "enforced_spend_limit_reached"}


def test_an_error_in_a_stream(client: anthropic.Anthropic, simulator: Launched) -> None:
    simulator.fault("stream_error", after_chunks=2)
    refused = refusal_of(lambda: list(client.messages.create(**asked("Hi", {}), stream=True)))
    assert (refused.status_code, "overloaded_error" in str(refused.body)) == (200, True)


def test_a_drift_is_taken_by_the_sdk(client: anthropic.Anthropic, simulator: Launched) -> None:
    expected = text_of(ask(client))
    simulator.fault("drift")
    assert text_of(ask(client)) == expected
    lenient = anthropic.Anthropic(api_key="sk-test", base_url=simulator.url, max_retries=0)
    with lenient.messages.stream(**asked("How do I compare providers?", {})) as stream:
        assert text_of(stream.get_final_message()) == expected
