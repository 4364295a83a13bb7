"""Reading the input items of a Responses request: items of one turn of the model become one message."""

from typing import Any

from fairlead_models import seals
from fairlead_models.errors import InvalidRequest
from fairlead_models.inbound import reading
from fairlead_models.unified import AudioPart, FilePart, Message, OtherPart, Part, TextPart, Thought, ToolCall

ROLES = ("user", "assistant", "system", "developer")
TEXTS = ("input_text", "output_text", "text", "summary_text")


def messages_of(items: list[Any]) -> list[Message]:
    """All items as messages. Raises InvalidRequest."""
    found: list[Message] = []
    for position, item in enumerate(items):
        where = f"input[{position}]"
        kind = reading.record(item, where).get("type") or "message"
        if kind == "message":
            _message(item, where, found)
        elif kind == "function_call":
            _turn(found).tool_calls.append(
                ToolCall(
                    reading.text(item, "call_id", where),
                    reading.text(item, "name", where),
                    reading.text(item, "arguments", where),
                )
            )
        elif kind == "function_call_output":
            found.append(_output(item, where))
        elif kind == "reasoning":
            _thinking(found).thoughts.append(_thought(item))
        elif kind == "item_reference":
            raise InvalidRequest(
                f"'{where}' refers to a stored item; Fairlead stores none. Send the item itself.",
                where,
                "unsupported_parameter",
            )
        else:
            _strange(found, str(kind), item)
    return found


def _turn(found: list[Message]) -> Message:
    """The model's turn that is going on, or a new one."""
    if not found or found[-1].role != "assistant":
        found.append(Message("assistant"))
    return found[-1]


def _thinking(found: list[Message]) -> Message:
    """Thinking opens a turn: what it led to comes after it."""
    turn = _turn(found)
    if turn.content is None and not turn.tool_calls:
        return turn
    found.append(Message("assistant"))
    return found[-1]


def _strange(found: list[Message], kind: str, item: dict[str, Any]) -> None:
    turn = _turn(found)
    parts = turn.parts()
    turn.content = [*parts, OtherPart(kind, item)]


def _message(item: dict[str, Any], where: str, found: list[Message]) -> None:
    role = item.get("role")
    if role not in ROLES:
        raise InvalidRequest(f"'{where}.role' must be one of {', '.join(ROLES)}.", f"{where}.role")
    content = item.get("content")
    if isinstance(content, str):
        held: str | list[Part] = content
        refusal = None
    else:
        blocks = reading.records(content, f"{where}.content")
        refusal = next((b["refusal"] for b in blocks if isinstance(b.get("refusal"), str)), None)
        held = [
            _part(block, f"{where}.content[{i}]")
            for i, block in enumerate(blocks)
            if block.get("type") != "refusal"
        ]
    if role != "assistant":
        found.append(Message(role, held))
        return
    turn = _turn(found)
    if turn.content is not None or turn.tool_calls:
        turn = Message("assistant")
        found.append(turn)
    turn.content, turn.refusal = held or None, refusal


def _output(item: dict[str, Any], where: str) -> Message:
    output = item.get("output")
    held: str | list[Part] = output if isinstance(output, str) else []
    if not isinstance(output, str):
        held = [
            _part(block, f"{where}.output[{i}]")
            for i, block in enumerate(reading.records(output, f"{where}.output"))
        ]
    return Message("tool", held, tool_call_id=reading.text(item, "call_id", where))


def _thought(item: dict[str, Any]) -> Thought:
    summary, content = item.get("summary"), item.get("content")
    told = [
        each["text"]
        for held in (summary, content)
        for each in (held if isinstance(held, list) else ())
        if isinstance(each, dict) and isinstance(each.get("text"), str)
    ]
    text = "\n\n".join(told) or None
    sealed, identity = item.get("encrypted_content"), item.get("id")
    if not isinstance(sealed, str):
        return Thought(text)
    return seals.unpack(sealed, text) or Thought(
        text, sealed, "openai", identity if isinstance(identity, str) else None
    )


def _part(block: dict[str, Any], where: str) -> Part:
    kind = block.get("type")
    if kind in TEXTS:
        return TextPart(reading.text(block, "text", where))
    if kind == "input_image" and isinstance(block.get("image_url"), str):
        detail = block.get("detail")
        return reading.image_at(block["image_url"], detail if isinstance(detail, str) else None, where)
    if kind == "input_file" and (part := _file(block, where)) is not None:
        return part
    if kind == "input_audio" and isinstance(block.get("input_audio"), dict):
        sound = block["input_audio"]
        return AudioPart(
            reading.text(sound, "data", f"{where}.input_audio"),
            reading.text(sound, "format", f"{where}.input_audio"),
        )
    if not isinstance(kind, str):
        raise InvalidRequest(f"'{where}' must be an object with a 'type'.", where)
    return OtherPart(kind, block)


def _file(block: dict[str, Any], where: str) -> FilePart | None:
    name = block.get("filename") if isinstance(block.get("filename"), str) else None
    if isinstance(block.get("file_url"), str):
        return FilePart(block["file_url"], name=name)
    if isinstance(block.get("file_data"), str):
        media_type, data = reading.data_url(block["file_data"], where)
        return FilePart(data=data, media_type=media_type, name=name)
    return None
