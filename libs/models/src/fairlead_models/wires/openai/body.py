"""The chat-completions body of a request that came in another format."""

from typing import Any

from fairlead_models.unified import (
    AudioPart,
    ChatRequest,
    FilePart,
    ImagePart,
    Message,
    Part,
    ResponseFormat,
    TextPart,
    Tool,
    ToolChoice,
)
from fairlead_models.wires.fitting import media, strange_part, tool_text
from fairlead_models.wires.openai.dialects import Dialect
from fairlead_models.wires.openai.replay import replay


def body_of(request: ChatRequest, dialect: Dialect) -> dict[str, Any]:
    """The whole body but for model, limits and streaming."""
    return {"messages": messages_of(request.messages, dialect), **parameters_of(request)}


def parameters_of(request: ChatRequest) -> dict[str, Any]:
    """Everything but the messages."""
    simple = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k,
        "stop": request.stop or None,
        "seed": request.seed,
        "n": request.n,
        "frequency_penalty": request.frequency_penalty,
        "presence_penalty": request.presence_penalty,
        "logprobs": request.logprobs,
        "top_logprobs": request.top_logprobs,
        "reasoning_effort": request.reasoning_effort,
        "parallel_tool_calls": request.parallel_tool_calls,
        "user": request.user,
        "metadata": request.metadata or None,
    }
    body: dict[str, Any] = {name: value for name, value in simple.items() if value is not None}
    if request.tools:
        body["tools"] = [tool_of(tool) for tool in request.tools]
    if request.tool_choice is not None:
        body["tool_choice"] = choice_word(request.tool_choice)
    if request.response_format is not None:
        body["response_format"] = format_of(request.response_format)
    return body


def messages_of(messages: list[Message], dialect: Dialect) -> list[dict[str, Any]]:
    """All messages; images that tools returned follow in a user message, since a tool message is text only."""
    found: list[dict[str, Any]] = []
    waiting: list[Part] = []
    for message in messages:
        if waiting and message.role != "tool":
            found.append(_shown(waiting))
            waiting = []
        found.append(replay(message_of(message), message, dialect))
        if message.role == "tool" and (shown := media(message)):
            waiting += [TextPart(f"Returned by the tool call {message.tool_call_id}:"), *shown]
    if waiting:
        found.append(_shown(waiting))
    return found


def _shown(parts: list[Part]) -> dict[str, Any]:
    return {"role": "user", "content": [part_of(part) for part in parts]}


def message_of(message: Message) -> dict[str, Any]:
    """One message."""
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.tool_call_id or "", "content": tool_text(message)}
    found: dict[str, Any] = {"role": message.role}
    content = message.content
    found["content"] = [part_of(part) for part in content] if isinstance(content, list) else content
    if message.tool_calls:
        found["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.name is not None:
        found["name"] = message.name
    if message.refusal is not None:
        found["refusal"] = message.refusal
    return found


def part_of(part: Part) -> dict[str, Any]:
    """One content part. Raises ProviderError(UNSUPPORTED) for one that the wire has no form for."""
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, ImagePart):
        image = {"url": part.url or f"data:{part.media_type};base64,{part.data}"}
        if part.detail is not None:
            image["detail"] = part.detail
        return {"type": "image_url", "image_url": image}
    if isinstance(part, AudioPart):
        return {"type": "input_audio", "input_audio": {"data": part.data, "format": part.format}}
    if isinstance(part, FilePart) and part.data is not None:
        file = {
            "file_data": f"data:{part.media_type};base64,{part.data}",
            "filename": part.name or "file.pdf",
        }
        return {"type": "file", "file": file}
    raise strange_part(part)


def tool_of(tool: Tool) -> dict[str, Any]:
    """One tool."""
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def choice_word(choice: ToolChoice) -> object:
    """``tool_choice``."""
    if choice.mode == "function":
        return {"type": "function", "function": {"name": choice.name}}
    return choice.mode


def format_of(wanted: ResponseFormat) -> dict[str, Any]:
    """``response_format``."""
    if wanted.kind != "json_schema":
        return {"type": wanted.kind}
    schema: dict[str, Any] = {"name": wanted.name or "answer", "schema": wanted.schema or {}}
    if wanted.description is not None:
        schema["description"] = wanted.description
    if wanted.strict is not None:
        schema["strict"] = wanted.strict
    return {"type": "json_schema", "json_schema": schema}
