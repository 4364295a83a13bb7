"""The official openai SDK against the simulated OpenAI: the Responses API."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from fairlead_simulator.testing import Launched
from openai.types.responses import Response, ResponseStreamEvent

from tests.sdk.samples import BOTH, CITY, LONG, PLACE, PNG, SEEN, Plan

VENDOR = "openai"
MODEL = "gpt-5.6"
TOOLS: Any = [
    {"type": "function", "name": "get_weather", "parameters": CITY, "strict": True},
    {"type": "function", "name": "find_place", "parameters": PLACE, "strict": False},
]


@pytest.fixture(scope="module")
def client(process: Launched) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        api_key="sk-test", base_url=f"{process.url}/v1", max_retries=0, _strict_response_validation=True
    ) as found:
        yield found


def ask(client: openai.OpenAI, given: Any = "How do I compare providers?", **more: Any) -> Response:
    found = client.responses.create(**{"model": MODEL, "input": given, **more})
    assert isinstance(found, Response)
    return found


def streamed(
    client: openai.OpenAI, given: Any = "How do I compare providers?", **more: Any
) -> list[ResponseStreamEvent]:
    events: list[Any] = list(client.responses.create(**{"model": MODEL, "input": given, **more}, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    return events


def refusal_of(call: Any) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as failed:
        call()
    return failed.value


def deltas(events: list[Any], kind: str) -> str:
    return "".join(event.delta for event in events if event.type == kind)


def test_an_answer_and_its_stream_say_the_same(client: openai.OpenAI) -> None:
    whole = ask(client, instructions="Be brief.")
    assert (whole.status, whole.error, whole.incomplete_details) == ("completed", None, None)
    assert 'I was told: "Be brief."' in whole.output_text
    events = streamed(client, instructions="Be brief.")
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    assert deltas(events, "response.output_text.delta") == whole.output_text
    last: Any = events[-1]
    assert last.response.output_text == whole.output_text
    assert last.response.usage == whole.usage
    assert {"response.output_item.added", "response.content_part.done", "response.output_text.done"} <= set(
        kinds
    )


def test_the_stream_helper_builds_the_response(client: openai.OpenAI) -> None:
    with client.responses.stream(model=MODEL, input="Hi") as stream:
        list(stream)
        final = stream.get_final_response()
    assert final.output_text == ask(client, "Hi").output_text


def test_turns_and_pictures_arrive(client: openai.OpenAI) -> None:
    inline = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    given = [
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": "Two"},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is this?"},
                {"type": "input_image", "image_url": inline, "detail": "auto"},
            ],
        },
    ]
    text = ask(client, given).output_text
    assert SEEN in text
    assert "turn 2" in text
    assert 'I was told: "Be kind."' in text


def test_a_conversation_with_tools(client: openai.OpenAI) -> None:
    first = ask(client, BOTH, tools=TOOLS, reasoning={"effort": "low"})
    calls = [item for item in first.output if item.type == "function_call"]
    assert [call.name for call in calls] == ["get_weather", "find_place"]
    assert set(json.loads(calls[0].arguments)) == {"city", "days"}
    results = [
        {"type": "function_call_output", "call_id": call.call_id, "output": f"result {i}"}
        for i, call in enumerate(calls)
    ]
    history = [
        {"role": "user", "content": BOTH},
        *[item.model_dump(exclude_none=True) for item in first.output],
    ]
    second = ask(client, [*history, *results], tools=TOOLS)
    assert "The tool says get_weather: result 0; find_place: result 1." in second.output_text
    assert "No tool output found" in str(refusal_of(lambda: ask(client, history, tools=TOOLS)))
    alone = refusal_of(lambda: ask(client, [{"role": "user", "content": "x"}, results[0]]))
    assert "No tool call found" in str(alone)


def test_calls_are_streamed_in_pieces(client: openai.OpenAI) -> None:
    events: list[Any] = list(streamed(client, BOTH, tools=TOOLS))
    for index in {
        event.output_index for event in events if event.type == "response.function_call_arguments.delta"
    }:
        own = [event for event in events if getattr(event, "output_index", None) == index]
        pieces = [event for event in own if event.type == "response.function_call_arguments.delta"]
        done = next(event for event in own if event.type == "response.function_call_arguments.done")
        assert len(pieces) > 1
        assert "".join(piece.delta for piece in pieces) == done.arguments
        assert isinstance(json.loads(done.arguments), dict)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("required", ["get_weather"]),
        ("none", []),
        ({"type": "function", "name": "find_place"}, ["find_place"]),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "find_place"}],
            },
            ["find_place"],
        ),
    ],
)
def test_tools_are_chosen(client: openai.OpenAI, choice: Any, expected: list[str]) -> None:
    found = ask(client, "Please help", tools=TOOLS, tool_choice=choice, parallel_tool_calls=False)
    assert [item.name for item in found.output if item.type == "function_call"] == expected


def test_structured_output_is_parsed(client: openai.OpenAI) -> None:
    parsed = client.responses.parse(model=MODEL, input="Plan it", text_format=Plan)
    assert isinstance(parsed.output_parsed, Plan)
    wanted = {"format": {"type": "json_object"}}
    assert isinstance(json.loads(ask(client, "Answer in JSON", text=wanted).output_text), dict)
    assert refusal_of(lambda: ask(client, "Answer", text=wanted)).param == "input"


def test_reasoning_is_summed_up_when_asked_for(client: openai.OpenAI) -> None:
    found = ask(
        client, reasoning={"effort": "high", "summary": "auto"}, include=["reasoning.encrypted_content"]
    )
    thought = found.output[0]
    assert thought.type == "reasoning"
    assert "Let me think" in thought.summary[0].text
    assert thought.encrypted_content
    assert found.usage is not None
    assert found.usage.output_tokens_details.reasoning_tokens > 0
    events = streamed(client, reasoning={"effort": "high", "summary": "auto"})
    assert deltas(events, "response.reasoning_summary_text.delta") == thought.summary[0].text
    silent = ask(client, reasoning={"effort": "high"}).output[0]
    assert silent.type == "reasoning"
    assert silent.summary == []
    assert [item.type for item in ask(client, reasoning={"effort": "none"}).output] == ["message"]


def test_endings_other_than_the_usual(client: openai.OpenAI) -> None:
    short = ask(client, max_output_tokens=16, reasoning={"effort": "none"})
    assert short.status == "incomplete"
    assert short.incomplete_details is not None
    assert short.incomplete_details.reason == "max_output_tokens"
    assert streamed(client, max_output_tokens=16)[-1].type == "response.incomplete"
    filtered = ask(client, "simulate a content filter").incomplete_details
    assert filtered is not None
    assert filtered.reason == "content_filter"
    refusal = ask(client, "simulate a refusal", reasoning={"effort": "none"}).output[0]
    assert refusal.type == "message"
    assert refusal.content[0].type == "refusal"
    events = streamed(client, "simulate a refusal")
    assert deltas(events, "response.refusal.delta") == refusal.content[0].refusal


def test_log_probabilities(client: openai.OpenAI) -> None:
    more = {"reasoning": {"effort": "none"}, "top_logprobs": 2, "include": ["message.output_text.logprobs"]}
    message = ask(client, **more).output[0]
    assert message.type == "message"
    assert message.content[0].type == "output_text"
    listed = message.content[0].logprobs
    assert listed is not None
    assert "".join(each.token for each in listed) == message.content[0].text


def test_a_repeated_beginning_is_cached(client: openai.OpenAI) -> None:
    cached = []
    for question in ("One?", "Two?"):
        usage = ask(client, question, instructions=LONG).usage
        assert usage is not None
        cached.append(
            (usage.input_tokens_details.cached_tokens, usage.input_tokens_details.cache_write_tokens)
        )
    assert cached[0][0] == 0 < cached[0][1]
    assert cached[1][0] >= 1024


@pytest.mark.parametrize(
    ("more", "code", "param"),
    [
        ({"max_output_tokens": 5}, "integer_below_min_value", "max_output_tokens"),
        ({"temperature": 0.2}, "unsupported_value", "temperature"),
        ({"reasoning": {"effort": "minimal"}}, "unsupported_value", "reasoning.effort"),
        ({"previous_response_id": "resp_1"}, "previous_response_not_found", "previous_response_id"),
        ({"extra_body": {"messages": []}}, "unknown_parameter", "messages"),
        ({"tool_choice": {"type": "function", "name": "f"}}, None, "tool_choice"),
        ({"text": {"format": {"type": "xml"}}}, "invalid_value", "text.format.type"),
        ({"background": True}, None, "background"),
    ],
)
def test_what_is_refused(client: openai.OpenAI, more: dict[str, Any], code: str | None, param: str) -> None:
    refused = refusal_of(lambda: ask(client, **more))
    assert isinstance(refused, openai.BadRequestError)
    assert (refused.code, refused.param) == (code, param)


def test_an_error_in_a_stream_is_an_event(client: openai.OpenAI, simulator: Launched) -> None:
    simulator.fault("stream_error", after_chunks=2)
    *_, last = client.responses.create(model=MODEL, input="Hi", stream=True)
    assert last.type == "error"
    assert last.code == "server_error"


def test_a_drift_is_taken_by_the_sdk(simulator: Launched) -> None:
    simulator.fault("drift")
    lenient = openai.OpenAI(api_key="sk-test", base_url=f"{simulator.url}/v1", max_retries=0)
    events: list[Any] = list(lenient.responses.create(model=MODEL, input="Hi", stream=True))
    assert "response.simulated" in [event.type for event in events]
    assert events[-1].type == "response.completed"
