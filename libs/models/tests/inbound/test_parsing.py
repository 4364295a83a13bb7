"""What callers send in each format, as the unified request; and what they are told when it is wrong."""

import json
from typing import Any

import pytest
from fairlead_models.errors import InvalidRequest
from fairlead_models.inbound import anthropic_messages, embeddings, openai_chat, openai_responses
from fairlead_models.inbound.formats import FORMATS
from fairlead_models.inbound.protocol import InboundFormat
from fairlead_models.unified import (
    AudioPart,
    ChatRequest,
    FilePart,
    Format,
    ImagePart,
    Message,
    OtherPart,
    ResponseFormat,
    TextPart,
    Thought,
    Tool,
    ToolCall,
    ToolChoice,
)

from libs.models.tests.captured import absent, asked, captures

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
HI = {"role": "user", "content": "Hi"}
PIXEL = "data:image/png;base64,iVBORw0KGgo="


def chat(**more: Any) -> ChatRequest:
    return openai_chat.parse(json.dumps({"model": "m", "messages": [HI], **more}).encode())


def messages(**more: Any) -> ChatRequest:
    body = {"model": "m", "max_tokens": 64, "messages": [HI], **more}
    return anthropic_messages.parse(json.dumps(body).encode())


def responses(**more: Any) -> ChatRequest:
    return openai_responses.parse(json.dumps({"model": "m", "input": "Hi", **more}).encode())


@pytest.mark.parametrize("name", captures("openai", "chat_", "async_chat"))
def test_captured_chat_requests_parse(name: str) -> None:
    if absent(name):
        return
    body = asked(name)
    found = openai_chat.parse(json.dumps(body).encode())
    assert (found.model, found.raw) == (body["model"], body)
    assert len(found.messages) == len(body["messages"])
    assert [tool.name for tool in found.tools] == [t["function"]["name"] for t in body.get("tools", ())]


@pytest.mark.parametrize("name", captures("anthropic", "chat_", "async_chat"))
def test_captured_messages_requests_parse(name: str) -> None:
    if absent(name):
        return
    body = asked(name)
    found = anthropic_messages.parse(json.dumps(body).encode())
    assert (found.max_output_tokens, found.stream) == (body["max_tokens"], body.get("stream", False))
    assert [tool.name for tool in found.tools] == [tool["name"] for tool in body.get("tools", ())]
    assert [m.role for m in found.messages[-1:]] in (["user"], ["tool"])


@pytest.mark.parametrize("name", captures("openai", "responses_"))
def test_captured_responses_requests_parse(name: str) -> None:
    if absent(name):
        return
    body = asked(name)
    found = openai_responses.parse(json.dumps(body).encode())
    assert found.messages[-1] == Message("user", "Hi")
    assert found.max_output_tokens == body.get("max_output_tokens")


def test_messages_become_the_unified_form() -> None:
    found = messages(
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"},
                    },
                    {
                        "type": "document",
                        "title": "Terms",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": "BBBB"},
                    },
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
                    {"type": "redacted_thinking", "data": "cmVk"},
                    {"type": "text", "text": "Let me look."},
                    {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": 1}},
                    {"type": "tool_use", "id": "t2", "name": "look", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": "found"},
                    {
                        "type": "tool_result",
                        "tool_use_id": "t2",
                        "is_error": True,
                        "content": [{"type": "text", "text": "broke"}],
                    },
                    {"type": "text", "text": "Go on."},
                ],
            },
        ],
        tools=[{"name": "look", "description": "d", "input_schema": SCHEMA, "strict": True}],
        tool_choice={"type": "tool", "name": "look", "disable_parallel_tool_use": True},
        stop_sequences=["END"],
        temperature=0.5,
        top_p=0.9,
        top_k=3,
        stream=True,
        metadata={"user_id": "u1", "team": "search"},
        thinking={"type": "enabled", "budget_tokens": 2048},
        output_config={"format": {"type": "json_schema", "schema": SCHEMA}},
    )
    assert found.messages == [
        Message("system", [TextPart("Be brief.")]),
        Message(
            "user",
            [
                TextPart("What is this?"),
                ImagePart(url="https://x/y.png"),
                ImagePart(data="AAAA", media_type="image/png"),
                FilePart(data="BBBB", media_type="application/pdf", name="Terms"),
            ],
        ),
        Message(
            "assistant",
            [TextPart("Let me look.")],
            tool_calls=[ToolCall("t1", "look", '{"at":1}'), ToolCall("t2", "look", "{}")],
            thoughts=[
                Thought("Hm.", "c2ln", "anthropic"),
                Thought(seal="cmVk", wire="anthropic", redacted=True),
            ],
        ),
        Message("tool", "found", tool_call_id="t1"),
        Message("tool", [TextPart("broke")], tool_call_id="t2", is_error=True),
        Message("user", [TextPart("Go on.")]),
    ]
    assert found.tools == [Tool("look", "d", SCHEMA, strict=True)]
    assert (found.tool_choice, found.parallel_tool_calls) == (ToolChoice("function", "look"), False)
    assert (found.stop, found.temperature, found.top_p, found.top_k) == (["END"], 0.5, 0.9, 3)
    assert (found.user, found.metadata, found.stream) == ("u1", {"team": "search"}, True)
    assert (found.reasoning_budget_tokens, found.show_reasoning) == (2048, True)
    assert found.response_format == ResponseFormat("json_schema", None, SCHEMA, strict=True)
    assert found.needs() == {"tools", "vision", "files", "structured_output"}
    assert (found.raw_format, found.include_usage) == (Format.ANTHROPIC_MESSAGES, True)


def test_responses_become_the_unified_form() -> None:
    found = responses(
        instructions="Be brief.",
        input=[
            {"role": "user", "content": [{"type": "input_text", "text": "What is this?"}]},
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_image", "image_url": PIXEL, "detail": "low"},
                    {"type": "input_file", "file_url": "https://x/y.pdf"},
                ],
            },
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "Hm."}],
                "encrypted_content": "c2ln",
            },
            {"role": "assistant", "content": [{"type": "output_text", "text": "Let me look."}]},
            {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
            {"type": "function_call", "call_id": "c2", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "found"},
            {
                "type": "function_call_output",
                "call_id": "c2",
                "output": [{"type": "input_text", "text": "this too"}],
            },
        ],
        tools=[{"type": "function", "name": "look", "parameters": SCHEMA, "strict": False}],
        tool_choice={"type": "function", "name": "look"},
        text={"format": {"type": "json_schema", "name": "w", "schema": SCHEMA}, "verbosity": "low"},
        reasoning={"effort": "high", "summary": "auto"},
        max_output_tokens=99,
        top_logprobs=3,
        store=False,
    )
    assert found.messages == [
        Message("developer", "Be brief."),
        Message("user", [TextPart("What is this?")]),
        Message(
            "user",
            [
                ImagePart(data="iVBORw0KGgo=", media_type="image/png", detail="low"),
                FilePart("https://x/y.pdf"),
            ],
        ),
        Message(
            "assistant",
            [TextPart("Let me look.")],
            tool_calls=[ToolCall("c1", "look", "{}"), ToolCall("c2", "look", "{}")],
            thoughts=[Thought("Hm.", "c2ln", "openai", "rs_1")],
        ),
        Message("tool", "found", tool_call_id="c1"),
        Message("tool", [TextPart("this too")], tool_call_id="c2"),
    ]
    assert (found.reasoning_effort, found.show_reasoning, found.max_output_tokens) == ("high", True, 99)
    assert (found.logprobs, found.top_logprobs) == (True, 3)
    assert found.extra == {"verbosity": "low"}
    assert found.response_format == ResponseFormat("json_schema", "w", SCHEMA)
    assert found.tool_choice == ToolChoice("function", "look")


def test_thinking_opens_a_new_turn_of_the_model() -> None:
    sealed = {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "c2ln"}
    call = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}
    found = responses(input=[HI, sealed, call, sealed, {"role": "assistant", "content": "Done."}])
    turns = [message for message in found.messages if message.role == "assistant"]
    assert [(len(t.thoughts), len(t.tool_calls), t.text()) for t in turns] == [(1, 1, ""), (1, 0, "Done.")]


def test_chat_parts_of_all_kinds_are_read() -> None:
    found = chat(
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": PIXEL, "detail": "high"}},
                    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                    {
                        "type": "file",
                        "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"},
                    },
                    {"type": "file", "file": {"file_id": "file-1"}},
                ],
            }
        ]
    )
    assert found.messages[0].content == [
        ImagePart(data="iVBORw0KGgo=", media_type="image/png", detail="high"),
        AudioPart("AAAA", "wav"),
        FilePart(data="AAAA", media_type="application/pdf", name="a.pdf"),
        OtherPart("file", {"type": "file", "file": {"file_id": "file-1"}}),
    ]
    assert found.needs() == {"vision", "files", "audio"}


def test_allowed_tools_are_the_tools() -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in ("a", "b")]
    allowed = {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "b"}}]},
    }
    found = chat(tools=tools, tool_choice=allowed)
    assert ([tool.name for tool in found.tools], found.tool_choice) == (["b"], ToolChoice("required"))
    flat = [{"type": "function", "name": name} for name in ("a", "b")]
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "a"}]}
    other = responses(tools=flat, tool_choice=choice)
    assert ([tool.name for tool in other.tools], other.tool_choice) == (["a"], ToolChoice("auto"))


@pytest.mark.parametrize(
    ("form", "body", "param"),
    [
        (openai_chat.FORMAT, {"model": "", "messages": [HI]}, "model"),
        (openai_chat.FORMAT, {"model": "m", "messages": []}, "messages"),
        (openai_chat.FORMAT, {"model": "m", "messages": [{"role": "dog"}]}, "messages[0].role"),
        (openai_chat.FORMAT, {"model": "m", "messages": [HI], "temperature": 3}, "temperature"),
        (openai_chat.FORMAT, {"model": "m", "messages": [HI], "n": 0}, "n"),
        (openai_chat.FORMAT, {"model": "m", "messages": [HI], "stop": [1]}, "stop"),
        (openai_chat.FORMAT, {"model": "m", "messages": [HI], "tools": "x"}, "tools"),
        (openai_chat.FORMAT, {"model": "m", "messages": [HI], "tool_choice": []}, "tool_choice"),
        (anthropic_messages.FORMAT, {"model": "m", "messages": [HI]}, "max_tokens"),
        (anthropic_messages.FORMAT, {"model": "m", "max_tokens": 9, "messages": "x"}, "messages"),
        (
            anthropic_messages.FORMAT,
            {"model": "m", "max_tokens": 9, "messages": [HI], "thinking": {"type": "deep"}},
            "thinking.type",
        ),
        (
            anthropic_messages.FORMAT,
            {"model": "m", "max_tokens": 9, "messages": [HI], "tools": [{"name": "a"}]},
            "tools[0].input_schema",
        ),
        (
            anthropic_messages.FORMAT,
            {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages[0].content[0].text",
        ),
        (openai_responses.FORMAT, {"model": "m"}, "input"),
        (openai_responses.FORMAT, {"model": "m", "input": "Hi", "store": True}, "store"),
        (
            openai_responses.FORMAT,
            {"model": "m", "input": "Hi", "previous_response_id": "resp_1"},
            "previous_response_id",
        ),
        (openai_responses.FORMAT, {"model": "m", "input": "Hi", "background": True}, "background"),
        (
            openai_responses.FORMAT,
            {"model": "m", "input": [{"type": "item_reference", "id": "x"}]},
            "input[0]",
        ),
        (
            openai_responses.FORMAT,
            {"model": "m", "input": "Hi", "text": {"format": {"type": "x"}}},
            "text.format",
        ),
    ],
)
def test_a_wrong_field_is_named(form: InboundFormat, body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        form.parse(json.dumps(body).encode())
    assert refused.value.param == param
    assert refused.value.status == 400


@pytest.mark.parametrize("form", FORMATS.values(), ids=lambda form: form.api)
@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 5000])
def test_what_is_no_object_is_refused(form: InboundFormat, body: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"JSON"):
        form.parse(body)


def test_embedding_requests_are_read() -> None:
    def parse(**body: Any) -> Any:
        return embeddings.parse(json.dumps({"model": "m", **body}).encode())

    assert parse(input="a").inputs == ["a"]
    assert parse(input=["a", "b"], dimensions=4, encoding_format="base64").base64
    assert parse(input=[1, 2]).inputs == [[1, 2]]
    assert parse(input=[[1], [2]]).inputs == [[1], [2]]
    refused: tuple[Any, ...] = ("", [], [""], ["a", 1], [[]], None, {"a": 1}, [True])
    for wrong in refused:
        with pytest.raises(InvalidRequest, match="'input' must be"):
            parse(input=wrong)
    with pytest.raises(InvalidRequest, match="2048"):
        parse(input=["a"] * 2049)
    with pytest.raises(InvalidRequest, match="encoding_format"):
        parse(input="a", encoding_format="binary")
