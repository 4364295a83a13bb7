"""The conversation as Gemini's contents of parts."""

import mimetypes
from typing import Any

import orjson

from fairlead_models.unified import AudioPart, FilePart, ImagePart, Message, Part, TextPart, ToolCall
from fairlead_models.wires.fitting import arguments_object, media, own_thoughts, strange_part

NO_SEAL = "skip_thought_signature_validator"
"""What Google documents for calls that another model made: newer models refuse a history whose calls are not sealed."""


def contents_of(messages: list[Message], *, sealed: bool) -> list[dict[str, Any]]:
    """User and model turns; tool results are user parts that name the function by its call's id.

    Args:
        sealed: the model refuses calls without a seal.
    """
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    contents: list[dict[str, Any]] = []
    for message in messages:
        role = "model" if message.role == "assistant" else "user"
        parts = parts_of(message, names, sealed=sealed)
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"] += parts
        elif parts:
            contents.append({"role": role, "parts": parts})
    return contents


def parts_of(message: Message, names: dict[str, str], *, sealed: bool) -> list[dict[str, Any]]:
    """The parts of one message."""
    if message.role == "tool":
        return [_result(message, names), *(part_of(part) for part in media(message))]
    parts = [part_of(part) for part in message.parts() if not (isinstance(part, TextPart) and not part.text)]
    if message.refusal and not parts:
        parts = [{"text": message.refusal}]
    calls = [_call(call) for call in message.tool_calls]
    thoughts = own_thoughts(message, "google")
    by_call = {thought.call_id: thought.seal for thought in thoughts if thought.call_id is not None}
    for call, held in zip(message.tool_calls, calls, strict=True):
        if call.id in by_call:
            held["thoughtSignature"] = by_call[call.id]
    if calls and sealed and not by_call:
        calls[0]["thoughtSignature"] = NO_SEAL
    loose = next((thought.seal for thought in thoughts if thought.call_id is None), None)
    if loose is not None:
        if not any("text" in part for part in parts):
            parts.insert(0, {"text": ""})
        next(part for part in reversed(parts) if "text" in part)["thoughtSignature"] = loose
    return parts + calls


def _call(call: ToolCall) -> dict[str, Any]:
    return {"functionCall": {"id": call.id, "name": call.name, "args": arguments_object(call.arguments)}}


def _result(message: Message, names: dict[str, str]) -> dict[str, Any]:
    name = names.get(message.tool_call_id or "", message.name or "function")
    try:
        result = orjson.loads(message.text())
    except orjson.JSONDecodeError:
        result = message.text()
    response = result if isinstance(result, dict) else {"result": result}
    if message.is_error:
        response = {"error": message.text()}
    return {"functionResponse": {"id": message.tool_call_id, "name": name, "response": response}}


def part_of(part: Part) -> dict[str, Any]:
    """One content part. Raises ProviderError(UNSUPPORTED) for one that the wire has no form for."""
    if isinstance(part, TextPart):
        return {"text": part.text}
    if isinstance(part, AudioPart):
        return {"inlineData": {"mimeType": f"audio/{part.format}", "data": part.data}}
    if isinstance(part, ImagePart | FilePart):
        if part.url is None:
            kind = part.media_type or ("application/pdf" if isinstance(part, FilePart) else "image/png")
            return {"inlineData": {"mimeType": kind, "data": part.data}}
        guessed = part.media_type or mimetypes.guess_type(part.url.partition("?")[0])[0]
        held = {"fileUri": part.url}
        return {"fileData": held if guessed is None else {**held, "mimeType": guessed}}
    raise strange_part(part)
