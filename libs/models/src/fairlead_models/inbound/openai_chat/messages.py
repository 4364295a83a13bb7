"""Reading the messages of a chat-completions request."""

from typing import Any, cast

from fairlead_models import seals
from fairlead_models.errors import InvalidRequest
from fairlead_models.inbound import reading
from fairlead_models.unified import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    OtherPart,
    Part,
    TextPart,
    Thought,
    ToolCall,
)

ROLES = frozenset(("system", "developer", "user", "assistant", "tool"))


def message_of(raw: object, position: int) -> Message:
    """One message. Raises InvalidRequest."""
    where = f"messages[{position}]"
    if not isinstance(raw, dict):
        raise InvalidRequest(f"'{where}' must be an object, not {reading.kind(raw)}.", where)
    role = raw.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise InvalidRequest(f"'{where}.role' must be one of {', '.join(sorted(ROLES))}.", f"{where}.role")
    message = Message(role, _content(raw.get("content"), where))
    if message.content is None and role != "assistant":
        raise InvalidRequest(f"'{where}.content' is missing.", f"{where}.content")
    if role == "assistant":
        _assistant(raw, message, where)
    elif role == "tool":
        if not isinstance(raw.get("tool_call_id"), str):
            raise InvalidRequest(
                f"'{where}.tool_call_id' must name the call it answers.", f"{where}.tool_call_id"
            )
        message.tool_call_id = raw["tool_call_id"]
    name = raw.get("name")
    message.name = name if isinstance(name, str) else None
    return message


def _content(content: object, where: str) -> str | list[Part] | None:
    if content is None or isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise InvalidRequest(f"'{where}.content' must be a string or a list of parts.", f"{where}.content")
    return [_part(each, f"{where}.content[{i}]") for i, each in enumerate(content)]


def _assistant(raw: dict[str, Any], message: Message, where: str) -> None:
    if raw.get("tool_calls"):
        message.tool_calls = _calls(raw["tool_calls"], f"{where}.tool_calls")
        message.thoughts = _call_seals(raw["tool_calls"])
    refusal = raw.get("refusal")
    message.refusal = refusal if isinstance(refusal, str) else None
    if found := seals.thoughts_of(raw.get("reasoning_details")):
        sealed = {thought.call_id for thought in found}
        message.thoughts = [*found, *(each for each in message.thoughts if each.call_id not in sealed)]
        return
    plain = raw.get("reasoning_content", raw.get("reasoning"))
    if isinstance(plain, str) and plain:
        message.thoughts.insert(0, Thought(plain))


def _calls(raw: object, where: str) -> list[ToolCall]:
    try:
        return [_call(call) for call in cast("list[dict[str, Any]]", raw)]
    except (KeyError, TypeError) as error:
        raise InvalidRequest(
            f"'{where}' must be a list of calls with id, function.name and function.arguments.", where
        ) from error


def _call(raw: dict[str, Any]) -> ToolCall:
    if raw.get("type") == "custom":
        return ToolCall(str(raw["id"]), str(raw["custom"]["name"]), str(raw["custom"]["input"]))
    return ToolCall(str(raw["id"]), str(raw["function"]["name"]), str(raw["function"]["arguments"]))


def _call_seals(raw: list[dict[str, Any]]) -> list[Thought]:
    """Gemini's seals of single calls, where Google's own compatible endpoint puts them."""
    found = []
    for call in raw:
        extra = call.get("extra_content")
        google = extra.get("google") if isinstance(extra, dict) else None
        seal = google.get("thought_signature") if isinstance(google, dict) else None
        if isinstance(seal, str):
            found.append(Thought(seal=seal, wire="google", call_id=str(call["id"])))
    return found


def _part(raw: object, where: str) -> Part:
    if not isinstance(raw, dict) or not isinstance(raw.get("type"), str):
        raise InvalidRequest(f"'{where}' must be an object with a 'type'.", where)
    kind = raw["type"]
    if kind == "text":
        return TextPart(reading.text(raw, "text", where))
    if kind == "image_url":
        return _image(raw.get("image_url"), f"{where}.image_url")
    if kind == "input_audio" and isinstance(raw.get("input_audio"), dict):
        sound = raw["input_audio"]
        return AudioPart(
            reading.text(sound, "data", f"{where}.input_audio"),
            reading.text(sound, "format", f"{where}.input_audio"),
        )
    if kind == "file" and isinstance(raw.get("file"), dict) and "file_data" in raw["file"]:
        return _file(raw["file"], f"{where}.file")
    return OtherPart(kind, raw)


def _file(raw: dict[str, Any], where: str) -> FilePart:
    name = raw.get("filename")
    media_type, data = reading.data_url(reading.text(raw, "file_data", where), where)
    return FilePart(data=data, media_type=media_type, name=name if isinstance(name, str) else None)


def _image(raw: object, where: str) -> ImagePart:
    url = raw.get("url") if isinstance(raw, dict) else raw
    detail = raw.get("detail") if isinstance(raw, dict) else None
    if not isinstance(url, str):
        raise InvalidRequest(f"'{where}.url' must be a string.", f"{where}.url")
    return reading.image_at(url, detail if isinstance(detail, str) else None, where)
