"""The conversation as Anthropic's turns of content blocks."""

from typing import Any

from fairlead_models.unified import FilePart, ImagePart, Message, Part, TextPart, Thought
from fairlead_models.wires.fitting import arguments_object, own_thoughts, strange_part

DOCUMENT_TEXT = ("text/plain", "text/markdown", "text/csv")


def turns_of(messages: list[Message]) -> list[dict[str, Any]]:
    """User, assistant and system turns; tool results become user blocks; neighbours of the same role are merged."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        role = {"assistant": "assistant", "system": "system", "developer": "system"}.get(message.role, "user")
        blocks = blocks_of(message)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    return turns


def blocks_of(message: Message) -> list[dict[str, Any]]:
    """The content blocks of one message; empty text is left out, since the API refuses it."""
    if message.role == "tool":
        return [_result(message)]
    blocks = [_thinking(thought) for thought in own_thoughts(message, "anthropic")]
    blocks += [
        part_of(part) for part in message.parts() if not (isinstance(part, TextPart) and not part.text)
    ]
    if message.refusal and not message.content:
        blocks.append({"type": "text", "text": message.refusal})
    blocks += [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments_object(call.arguments)}
        for call in message.tool_calls
    ]
    return blocks


def _thinking(thought: Thought) -> dict[str, Any]:
    if thought.redacted:
        return {"type": "redacted_thinking", "data": thought.seal}
    return {"type": "thinking", "thinking": thought.text or "", "signature": thought.seal}


def _result(message: Message) -> dict[str, Any]:
    content: object = message.content
    if isinstance(content, list):
        content = [part_of(part) for part in content if not (isinstance(part, TextPart) and not part.text)]
    found: dict[str, Any] = {
        "type": "tool_result",
        "tool_use_id": message.tool_call_id or "",
        "content": content or "",
    }
    if message.is_error:
        found["is_error"] = True
    return found


def part_of(part: Part) -> dict[str, Any]:
    """One content part as a block. Raises ProviderError(UNSUPPORTED) for one that the wire has no form for."""
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, ImagePart):
        return {"type": "image", "source": _source(part)}
    if isinstance(part, FilePart):
        found = {"type": "document", "source": _source(part)}
        return found if part.name is None else {**found, "title": part.name}
    raise strange_part(part)


def _source(part: ImagePart | FilePart) -> dict[str, Any]:
    if part.url is not None:
        return {"type": "url", "url": part.url}
    return {"type": "base64", "media_type": part.media_type or "application/pdf", "data": part.data}
