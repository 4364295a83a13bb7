"""Reading the turns of a Messages request: blocks become parts, tool results become messages of their own."""

from typing import Any

import orjson

from fairlead_models import seals
from fairlead_models.errors import InvalidRequest
from fairlead_models.inbound import reading
from fairlead_models.unified import FilePart, ImagePart, Message, OtherPart, Part, TextPart, Thought, ToolCall

ROLES = ("user", "assistant", "system")


def system_of(raw: object) -> list[Message]:
    """The top-level system prompt, as a message. Raises InvalidRequest."""
    if raw is None or raw == "":
        return []
    if isinstance(raw, str):
        return [Message("system", raw)]
    parts: list[Part] = [
        TextPart(reading.text(block, "text", f"system[{i}]"))
        for i, block in enumerate(reading.records(raw, "system"))
    ]
    return [Message("system", parts)] if parts else []


def messages_of(raw: object, extra: dict[str, Any]) -> list[Message]:
    """All turns; what only Anthropic can honour in them is named in ``extra``. Raises InvalidRequest."""
    if not isinstance(raw, list) or not raw:
        raise InvalidRequest("'messages' must be a list of at least one message.", "messages")
    found: list[Message] = []
    for position, turn in enumerate(raw):
        where = f"messages[{position}]"
        reading.record(turn, where)
        role, content = turn.get("role"), turn.get("content")
        if role not in ROLES:
            raise InvalidRequest(f"'{where}.role' must be one of {', '.join(ROLES)}.", f"{where}.role")
        if isinstance(content, str):
            found.append(Message(role, content))
        elif isinstance(content, list):
            found += _turn(role, content, f"{where}.content", extra)
        else:
            raise InvalidRequest(
                f"'{where}.content' must be a string or a list of blocks.", f"{where}.content"
            )
    return found


def _turn(role: str, blocks: list[Any], where: str, extra: dict[str, Any]) -> list[Message]:
    message, parts = Message(role), []
    results: list[Message] = []
    for position, block in enumerate(blocks):
        at = f"{where}[{position}]"
        kind = reading.record(block, at).get("type")
        if block.get("cache_control") is not None:
            extra["cache_control"] = block["cache_control"]
        if kind == "tool_result":
            results.append(_result(block, at, extra))
        elif kind == "tool_use" and role == "assistant":
            message.tool_calls.append(_call(block, at))
        elif kind in ("thinking", "redacted_thinking") and role == "assistant":
            message.thoughts.append(_thought(block, at))
        else:
            parts += _parts(block, at, extra)
    message.content = parts or None
    if results and not parts:
        return results
    return [*results, message]


def _call(block: dict[str, Any], where: str) -> ToolCall:
    arguments = orjson.dumps(reading.record(block.get("input"), f"{where}.input")).decode()
    return ToolCall(reading.text(block, "id", where), reading.text(block, "name", where), arguments)


def _thought(block: dict[str, Any], where: str) -> Thought:
    if block["type"] == "redacted_thinking":
        data = reading.text(block, "data", where)
        return seals.unpack(data) or Thought(seal=data, wire="anthropic", redacted=True)
    told, signature = reading.text(block, "thinking", where), block.get("signature")
    if not isinstance(signature, str) or not signature:
        return Thought(told)
    return seals.unpack(signature, told) or Thought(told, signature, "anthropic")


def _result(block: dict[str, Any], where: str, extra: dict[str, Any]) -> Message:
    content = block.get("content")
    held: str | list[Part] = content if isinstance(content, str) else []
    if not isinstance(content, str):
        held = [
            part
            for position, each in enumerate(reading.records(content, f"{where}.content"))
            for part in _parts(each, f"{where}.content[{position}]", extra)
        ]
    return Message(
        "tool",
        held,
        tool_call_id=reading.text(block, "tool_use_id", where),
        is_error=block.get("is_error") is True,
    )


def _parts(block: dict[str, Any], where: str, extra: dict[str, Any]) -> list[Part]:
    kind = block.get("type")
    if not isinstance(kind, str):
        raise InvalidRequest(f"'{where}' must be an object with a 'type'.", where)
    if kind == "text":
        return [TextPart(reading.text(block, "text", where))]
    if kind == "image":
        return [_image(block, where)]
    if kind == "document":
        return _document(block, where, extra)
    return [OtherPart(kind, block)]


def _image(block: dict[str, Any], where: str) -> Part:
    source = reading.record(block.get("source"), f"{where}.source")
    if source.get("type") == "url":
        return ImagePart(url=reading.text(source, "url", f"{where}.source"))
    if source.get("type") == "base64":
        data = reading.text(source, "data", f"{where}.source")
        return ImagePart(data=data, media_type=reading.text(source, "media_type", f"{where}.source"))
    return OtherPart("image", block)


def _document(block: dict[str, Any], where: str, extra: dict[str, Any]) -> list[Part]:
    """Plain text in a document is text to every provider; other documents are files."""
    if isinstance(block.get("citations"), dict) and block["citations"].get("enabled") is True:
        extra["citations"] = block["citations"]
    source = reading.record(block.get("source"), f"{where}.source")
    title = block.get("title")
    name = title if isinstance(title, str) else None
    told = [TextPart(each) for each in (name, block.get("context")) if isinstance(each, str)]
    kind = source.get("type")
    if kind == "text":
        return [*told, TextPart(reading.text(source, "data", f"{where}.source"))]
    if kind == "content":
        content = source.get("content")
        if isinstance(content, str):
            return [*told, TextPart(content)]
        inner = reading.records(content, f"{where}.source.content")
        return [*told, *(part for each in inner for part in _parts(each, f"{where}.source.content", extra))]
    if kind == "url":
        return [FilePart(reading.text(source, "url", f"{where}.source"), name=name)]
    if kind == "base64":
        data = reading.text(source, "data", f"{where}.source")
        return [
            FilePart(data=data, media_type=reading.text(source, "media_type", f"{where}.source"), name=name)
        ]
    return [OtherPart("document", block)]
