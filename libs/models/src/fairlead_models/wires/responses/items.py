"""The conversation as the input items of the Responses API."""

import hashlib
from typing import Any

from fairlead_models.unified import FilePart, ImagePart, Message, Part, TextPart, Thought
from fairlead_models.wires.fitting import media, own_thoughts, strange_part, tool_text


def items_of(messages: list[Message]) -> list[dict[str, Any]]:
    """All items, in order; a thought comes before what it led to."""
    items: list[dict[str, Any]] = []
    for message in messages:
        if message.role == "tool":
            items.append(_output(message))
        elif message.role == "assistant":
            items += _assistant(message)
        else:
            items.append(
                {"type": "message", "role": message.role, "content": [_part(p) for p in message.parts()]}
            )
    return items


def _assistant(message: Message) -> list[dict[str, Any]]:
    items = [_thought(thought) for thought in own_thoughts(message, "openai")]
    if text := message.text():
        items.append({"type": "message", "role": "assistant", "content": text})
    if message.refusal is not None:
        items.append(
            {
                "type": "message",
                "role": "assistant",
                "id": f"msg_{hashlib.sha256(message.refusal.encode()).hexdigest()[:24]}",
                "status": "completed",
                "content": [{"type": "refusal", "refusal": message.refusal}],
            }
        )
    items += [
        {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments}
        for call in message.tool_calls
    ]
    return items


def _thought(thought: Thought) -> dict[str, Any]:
    summary = [{"type": "summary_text", "text": thought.text}] if thought.text else []
    return {
        "type": "reasoning",
        "id": thought.id or f"rs_{hashlib.sha256((thought.seal or '').encode()).hexdigest()[:24]}",
        "summary": summary,
        "encrypted_content": thought.seal,
    }


def _output(message: Message) -> dict[str, Any]:
    shown = media(message)
    output: object = tool_text(message)
    if shown:
        output = [_part(part) for part in (TextPart(tool_text(message)), *shown)]
    return {"type": "function_call_output", "call_id": message.tool_call_id or "", "output": output}


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "input_text", "text": part.text}
    if isinstance(part, ImagePart):
        url = part.url or f"data:{part.media_type};base64,{part.data}"
        return {"type": "input_image", "image_url": url, "detail": part.detail or "auto"}
    if isinstance(part, FilePart):
        if part.url is not None:
            return {"type": "input_file", "file_url": part.url}
        data = f"data:{part.media_type};base64,{part.data}"
        return {"type": "input_file", "file_data": data, "filename": part.name or "file.pdf"}
    raise strange_part(part)
