"""What callers get in each format, as the vendors' official clients read it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from fairlead_models.inbound import anthropic_messages, openai_chat, openai_responses
from fairlead_models.unified import ChatRequest, ChatResponse, Choice, Thought, ToolCall, Usage
from openai.lib.streaming.chat import ChatCompletionStreamState

from libs.models.tests.inbound.answers import KINDS, TARGET, USAGE, WEATHER, renderer, streamed, whole

HI: Any = [{"role": "user", "content": "Hi"}]


@contextmanager
def answering(body: bytes, kind: str, status: int = 200) -> Iterator[httpx2.Client]:
    """An HTTP client that gets this answer, whatever it asks."""

    def handler(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers={"content-type": kind}, content=body)

    with httpx2.Client(transport=httpx2.MockTransport(handler)) as client:
        yield client


def chat(body: bytes) -> openai.types.chat.ChatCompletion:
    with answering(body, "application/json") as http:
        return openai.OpenAI(api_key="k", base_url="http://x/v1", http_client=http).chat.completions.create(
            model="m",
            messages=HI,
        )


def chat_streamed(body: bytes) -> openai.types.chat.ChatCompletion:
    with answering(body, "text/event-stream") as http:
        client = openai.OpenAI(api_key="k", base_url="http://x/v1", http_client=http)
        state = ChatCompletionStreamState()
        with client.chat.completions.create(model="m", messages=HI, stream=True) as stream:
            for chunk in stream:
                state.handle_chunk(chunk)
        return state.current_completion_snapshot


def message(body: bytes) -> anthropic.types.Message:
    with answering(body, "application/json") as http:
        return anthropic.Anthropic(api_key="k", base_url="http://x", http_client=http).messages.create(
            model="m",
            max_tokens=9,
            messages=HI,
        )


def message_streamed(body: bytes) -> anthropic.types.Message:
    with answering(body, "text/event-stream") as http:
        client = anthropic.Anthropic(api_key="k", base_url="http://x", http_client=http)
        with client.messages.stream(model="m", max_tokens=9, messages=HI) as stream:
            return stream.get_final_message()


def response(body: bytes) -> openai.types.responses.Response:
    with answering(body, "application/json") as http:
        return openai.OpenAI(api_key="k", base_url="http://x/v1", http_client=http).responses.create(
            model="m", input="Hi"
        )


def response_streamed(body: bytes) -> openai.types.responses.Response:
    with answering(body, "text/event-stream") as http:
        client = openai.OpenAI(api_key="k", base_url="http://x/v1", http_client=http)
        last = None
        with client.responses.stream(model="m", input="Hi") as stream:
            for event in stream:
                last = event
    assert last is not None
    assert last.type in ("response.completed", "response.incomplete")
    return last.response


@pytest.mark.parametrize("way", ["whole", "stream"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_openai_client_reads_chat_completions(kind: str, way: str) -> None:
    form = openai_chat.FORMAT
    found = chat(whole(form, kind)) if way == "whole" else chat_streamed(streamed(form, kind))
    choice, wanted = found.choices[0], KINDS[kind].choice()
    assert found.model == TARGET
    assert choice.finish_reason == wanted.finish_reason
    assert choice.message.content == wanted.text
    assert choice.message.refusal == wanted.refusal
    calls = [(c.id, c.function.name, c.function.arguments) for c in choice.message.tool_calls or ()]  # type: ignore[union-attr]
    assert calls == [(c.id, c.name, c.arguments) for c in wanted.tool_calls]
    assert getattr(choice.message, "reasoning_content", None) == wanted.reasoning
    assert found.usage is not None
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (120, 30)
    assert found.usage.prompt_tokens_details is not None
    assert found.usage.prompt_tokens_details.cached_tokens == 80
    assert found.usage.completion_tokens_details is not None
    assert found.usage.completion_tokens_details.reasoning_tokens == 7


@pytest.mark.parametrize("way", ["whole", "stream"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_anthropic_client_reads_messages(kind: str, way: str) -> None:
    form = anthropic_messages.FORMAT
    found = message(whole(form, kind)) if way == "whole" else message_streamed(streamed(form, kind))
    wanted = KINDS[kind].choice()
    assert found.model == TARGET
    reasons = {
        "text": "end_turn",
        "cut": "max_tokens",
        "thought": "end_turn",
        "unsealed": "end_turn",
        "calls": "tool_use",
        "refused": "refusal",
    }
    assert found.stop_reason == reasons[kind]
    said = "".join(block.text for block in found.content if block.type == "text")
    assert said == (wanted.text or wanted.refusal)
    thought = [block for block in found.content if block.type == "thinking"]
    assert ("".join(block.thinking for block in thought) or None) == wanted.reasoning
    assert all(block.signature for block in thought)
    uses = [(b.id, b.name, b.input) for b in found.content if b.type == "tool_use"]
    assert uses == [(c.id, c.name, json.loads(c.arguments)) for c in wanted.tool_calls]
    usage = found.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (
        20,
        80,
        20,
    )
    assert usage.output_tokens == 30


@pytest.mark.parametrize("way", ["whole", "stream"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_openai_client_reads_responses(kind: str, way: str) -> None:
    form = openai_responses.FORMAT
    found = response(whole(form, kind)) if way == "whole" else response_streamed(streamed(form, kind))
    wanted = KINDS[kind].choice()
    assert found.model == TARGET
    status = {"cut": "incomplete", "refused": "incomplete"}.get(kind, "completed")
    assert found.status == status
    if status == "incomplete":
        assert found.incomplete_details is not None
        reason = "max_output_tokens" if kind == "cut" else "content_filter"
        assert found.incomplete_details.reason == reason
    assert found.output_text == (wanted.text or "")
    calls = [(i.call_id, i.name, i.arguments) for i in found.output if i.type == "function_call"]
    assert calls == [(c.id, c.name, c.arguments) for c in wanted.tool_calls]
    thoughts = [item for item in found.output if item.type == "reasoning"]
    told = "".join(part.text for item in thoughts for part in item.summary)
    assert (told or None) == wanted.reasoning
    assert len(thoughts) == len(wanted.thoughts)
    assert all(item.encrypted_content for item in thoughts)
    refusals = [
        part.refusal
        for item in found.output
        if item.type == "message"
        for part in item.content
        if part.type == "refusal"
    ]
    assert refusals == ([wanted.refusal] if wanted.refusal else [])
    assert found.usage is not None
    assert (found.usage.input_tokens, found.usage.output_tokens) == (120, 30)
    assert found.usage.input_tokens_details.cached_tokens == 80


@pytest.mark.parametrize(
    ("form", "read"),
    [
        (openai_chat.FORMAT, chat_streamed),
        (anthropic_messages.FORMAT, message_streamed),
        (openai_responses.FORMAT, response_streamed),
    ],
)
def test_every_client_reads_an_answer_that_another_target_went_on_with(form: Any, read: Any) -> None:
    written = renderer(form)
    first, then, last = KINDS["text"].chunks()
    body = written.begin() + written.chunk(first) + written.resume("mistral/mistral\nmedium")
    body += written.chunk(then) + written.chunk(last) + written.done(USAGE)
    assert b"\n: fairlead: mistral/mistral medium goes on\n\n" in body
    mark = b'"fairlead":{"continued_by":["mistral/mistral\\nmedium"]}'
    assert body.count(mark) == 1
    found = read(body)
    if isinstance(found, anthropic.types.Message):
        assert [block.text for block in found.content if block.type == "text"] == ["Hello there."]
    elif isinstance(found, openai.types.chat.ChatCompletion):
        assert found.choices[0].message.content == "Hello there."
    else:
        assert found.output_text == "Hello there."


def test_a_stream_that_breaks_is_an_error_to_every_client() -> None:
    for form, read in (
        (openai_chat.FORMAT, chat_streamed),
        (anthropic_messages.FORMAT, message_streamed),
    ):
        written = renderer(form)
        body = b"".join(written.chunk(chunk) for chunk in KINDS["text"].chunks()[:1])
        body += written.error("The stream broke: stalled", "stream_error", "overloaded")
        with pytest.raises((openai.APIError, anthropic.APIError), match="The stream broke"):
            read(body)
    written = renderer(openai_responses.FORMAT)
    body = b"".join(written.chunk(chunk) for chunk in KINDS["text"].chunks()[:1])
    body += written.error("The stream broke: stalled", "stream_error", "rate_limited")
    events = [json.loads(line[6:]) for line in body.split(b"\n") if line.startswith(b"data: ")]
    assert events[-1]["type"] == "response.failed"
    assert events[-1]["response"]["error"] == {
        "code": "rate_limit_exceeded",
        "message": "The stream broke: stalled",
    }
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, anthropic.BadRequestError),
        (401, anthropic.AuthenticationError),
        (403, anthropic.PermissionDeniedError),
        (404, anthropic.NotFoundError),
        (413, anthropic.APIStatusError),
        (429, anthropic.RateLimitError),
        (503, anthropic.InternalServerError),
    ],
)
def test_errors_are_what_the_anthropic_client_expects(status: int, kind: type[Exception]) -> None:
    body = anthropic_messages.FORMAT.render_error(status, "No.", "server_error", "some_code")
    with answering(body, "application/json", status) as http:
        client = anthropic.Anthropic(api_key="k", base_url="http://x", http_client=http, max_retries=0)
        with pytest.raises(kind) as failed:
            client.messages.create(model="m", max_tokens=9, messages=HI)
    assert isinstance(failed.value, anthropic.APIStatusError)
    assert failed.value.body == json.loads(body)
    assert json.loads(body)["error"]["type"] in {
        "invalid_request_error",
        "authentication_error",
        "permission_error",
        "not_found_error",
        "request_too_large",
        "rate_limit_error",
        "api_error",
    }


def test_errors_are_what_the_openai_client_expects() -> None:
    body = openai_chat.FORMAT.render_error(404, "No such model.", code="model_not_found", param="model")
    with answering(body, "application/json", 404) as http:
        client = openai.OpenAI(api_key="k", base_url="http://x/v1", http_client=http, max_retries=0)
        with pytest.raises(openai.NotFoundError) as failed:
            client.chat.completions.create(model="m", messages=HI)
    assert (failed.value.code, failed.value.param, failed.value.type) == (
        "model_not_found",
        "model",
        "invalid_request_error",
    )
    assert json.loads(openai_chat.FORMAT.render_error(503, "Later."))["error"]["type"] == "server_error"


def test_what_a_client_sends_back_carries_the_seals_of_any_vendor() -> None:
    """The whole loop: a caller of one format uses another vendor's thinking model with tools, for two turns."""
    choice = Choice(
        text="Let me look.",
        thoughts=[
            Thought("Which city?", "c2VhbA==", "google"),
            Thought(seal="c2lnbg==", wire="google", call_id="call_a"),
            Thought("Hm.", wire="deepseek"),
        ],
        tool_calls=[ToolCall("call_a", "get_weather", WEATHER)],
    )
    answer = ChatResponse("up_1", "gemini", [choice], Usage())
    found = message(anthropic_messages.render(answer, "r1", TARGET))
    turn = {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in found.content]}
    body = {"model": "m", "max_tokens": 9, "messages": [*HI, turn]}
    assert _back(anthropic_messages.parse(json.dumps(body).encode())) == choice.thoughts
    said = response(openai_responses.render(answer, "r1", TARGET))
    items = [item.model_dump(exclude_none=True) for item in said.output]
    asked = {"model": "m", "input": [*HI, *items]}
    assert _back(openai_responses.parse(json.dumps(asked).encode())) == choice.thoughts
    told = chat(openai_chat.render(answer, "r1", TARGET)).choices[0].message
    history = {"model": "m", "messages": [*HI, told.model_dump(exclude_none=True)]}
    assert _back(openai_chat.parse(json.dumps(history).encode())) == choice.thoughts


def _back(request: ChatRequest) -> list[Thought]:
    turn = next(message for message in request.messages if message.role == "assistant")
    assert [(call.id, call.arguments) for call in turn.tool_calls] == [("call_a", WEATHER)]
    assert turn.text() == "Let me look."
    return turn.thoughts


def test_usage_at_the_end_is_only_for_those_who_asked() -> None:
    body = streamed(openai_chat.FORMAT, "text")
    assert body.endswith(b"data: [DONE]\n\n")
    assert body.count(b'"usage"') == 1
    quiet = openai_chat.StreamRenderer("r1", TARGET, 1, include_usage=False)
    assert b"usage" not in quiet.done(USAGE)
