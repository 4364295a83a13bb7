"""From a unified request to Cohere's v2 chat body."""

from typing import Any

from fairlead_models.catalog.profiles import Profile
from fairlead_models.unified import ChatRequest, ImagePart, Message, Part, TextPart, Tool, Unhonoured
from fairlead_models.wires import fitting
from fairlead_models.wires.openai.body import part_of

NOT_OFFERED = {
    "top_logprobs": "not offered by the Cohere API",
    "user": "not offered by the Cohere API",
}
MOST_STOPS = 5
MOST_TOP_K = 500
PLAN = "tool_plan"
"""Marks a thought that was the plan before tool calls, which has a field of its own."""


def chat_body(
    request: ChatRequest, model: str, profile: Profile, *, stream: bool
) -> tuple[dict[str, Any], list[Unhonoured]]:
    """(body, warnings).

    Raises:
        ProviderError: UNSUPPORTED.
    """
    warnings = fitting.extras(request) + fitting.left_out(request, NOT_OFFERED)
    warnings += fitting.one_choice(request) + fitting.no_prefill(request)
    warnings += fitting.foreign_thoughts(request.messages, "cohere", plain=True)
    body: dict[str, Any] = {
        "model": model,
        "messages": messages_of(request.messages),
        "stream": stream,
        **_sampling(request, profile, warnings),
    }
    _tools(request, body, warnings)
    _format(request, body)
    _thinking(request, profile, body, warnings)
    return body, warnings


def _sampling(request: ChatRequest, profile: Profile, warnings: list[Unhonoured]) -> dict[str, Any]:
    simple = {
        "max_tokens": fitting.output_limit(request, profile, warnings),
        "temperature": request.temperature,
        "p": fitting.clamped(request.top_p, 0.01, 0.99, "top_p", warnings),
        "k": request.top_k and int(fitting.clamped(request.top_k, 0, MOST_TOP_K, "top_k", warnings) or 0),
        "stop_sequences": fitting.stops(request, MOST_STOPS, warnings) or None,
        "seed": request.seed,
        "frequency_penalty": fitting.clamped(request.frequency_penalty, 0, 1, "frequency_penalty", warnings),
        "presence_penalty": fitting.clamped(request.presence_penalty, 0, 1, "presence_penalty", warnings),
        "logprobs": request.logprobs,
    }
    return {name: value for name, value in simple.items() if value is not None}


def _tools(request: ChatRequest, body: dict[str, Any], warnings: list[Unhonoured]) -> None:
    choice = request.tool_choice
    tools = request.tools
    if choice is not None and choice.mode == "function":
        tools = [tool for tool in tools if tool.name == choice.name]
    if not tools:
        return
    body["tools"] = [_tool(tool) for tool in tools]
    strict = {bool(tool.strict) for tool in tools}
    if True in strict:
        body["strict_tools"] = True
        if False in strict:
            warnings.append(Unhonoured("tools.strict", "here it counts for all tools or for none", note=True))
    if choice is not None and choice.mode != "auto":
        body["tool_choice"] = "NONE" if choice.mode == "none" else "REQUIRED"
    if request.parallel_tool_calls is False:
        warnings.append(Unhonoured("parallel_tool_calls", "the Cohere API decides by itself"))


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {
        "name": tool.name,
        "parameters": tool.parameters or {"type": "object", "properties": {}},
    }
    if tool.description is not None:
        function["description"] = tool.description
    return {"type": "function", "function": function}


def _format(request: ChatRequest, body: dict[str, Any]) -> None:
    wanted = request.response_format
    if wanted is None or wanted.kind == "text":
        return
    body["response_format"] = {"type": "json_object"}
    if wanted.kind == "json_schema":
        body["response_format"]["json_schema"] = wanted.schema or {}


def _thinking(
    request: ChatRequest, profile: Profile, body: dict[str, Any], warnings: list[Unhonoured]
) -> None:
    budget = request.reasoning_budget_tokens
    if budget is None or profile.reasoning_efforts == ():
        effort = fitting.effort_for(request, profile, warnings)
        budget = None if effort is None else fitting.BUDGETS[effort]
    if budget == 0:
        body["thinking"] = {"type": "disabled"}
    elif budget is not None:
        body["thinking"] = {"type": "enabled", "token_budget": budget}


def messages_of(messages: list[Message]) -> list[dict[str, Any]]:
    """All messages; images that tools returned follow in a user message, since a tool message is text only."""
    found: list[dict[str, Any]] = []
    waiting: list[Part] = []
    for message in messages:
        if waiting and message.role != "tool":
            found.append(_shown(waiting))
            waiting = []
        found.append(_message(message))
        if message.role == "tool" and (shown := fitting.media(message)):
            waiting += [TextPart(f"Returned by the tool call {message.tool_call_id}:"), *shown]
    if waiting:
        found.append(_shown(waiting))
    return found


def _shown(parts: list[Part]) -> dict[str, Any]:
    return {"role": "user", "content": [_part(part) for part in parts]}


def _message(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        return {
            "role": "tool",
            "tool_call_id": message.tool_call_id or "",
            "content": fitting.tool_text(message),
        }
    found: dict[str, Any] = {"role": "system" if message.role == "developer" else message.role}
    content = message.content if message.content is not None else message.refusal
    thoughts = fitting.own_thoughts(message, "cohere", plain=True)
    thinking = [{"type": "thinking", "thinking": thought.text} for thought in thoughts if thought.id != PLAN]
    if thinking or isinstance(content, list):
        found["content"] = thinking + [_part(part) for part in message.parts()]
    elif content is not None:
        found["content"] = content
    if message.tool_calls:
        found["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
        if plan := "".join(thought.text or "" for thought in thoughts if thought.id == PLAN):
            found["tool_plan"] = plan
    return found


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart | ImagePart):
        return part_of(part)
    raise fitting.strange_part(part)
