"""The Anthropic Messages wire, version 2026-10-21 (which knows no sampling parameters any more)."""

from typing import Any

import orjson
from fairlead_common.outcomes import ErrorClass

from fairlead_models.drift import DRIFT
from fairlead_models.errors import ProviderError
from fairlead_models.sse import SseEvent, SseParser, SseTooLarge
from fairlead_models.unified import (
    ChatChunk,
    ChatRequest,
    ChatResponse,
    Choice,
    EncodedRequest,
    FinishReason,
    ImagePart,
    Message,
    Part,
    TextPart,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
    Unhonoured,
    Usage,
)
from fairlead_models.wires.protocol import (
    Headers,
    StreamDecoder,
    as_int,
    error_of,
    load_error,
    load_object,
    malformed,
    truncated,
)

VERSION = "2026-10-21"
DEFAULT_MAX_TOKENS = 4096
"""The protocol demands a limit; this is ours when the caller gave none."""

FINISH = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "pause_turn": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "refusal": FinishReason.CONTENT_FILTER,
}

EFFORT = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "max", "max": "max"}

NO_SAMPLING = f"removed from the Messages API in version {VERSION}"
UNSUPPORTED = {
    "temperature": NO_SAMPLING,
    "top_p": NO_SAMPLING,
    "seed": "not offered by the Messages API",
    "frequency_penalty": "not offered by the Messages API",
    "presence_penalty": "not offered by the Messages API",
    "logprobs": "not offered by the Messages API",
    "top_logprobs": "not offered by the Messages API",
}

KNOWN_TOP = frozenset(
    "id type role model content stop_reason stop_sequence usage container context_management stop_details".split()
)
STREAM_EVENTS = frozenset(
    "message_start content_block_start content_block_delta content_block_stop message_delta message_stop ping error".split()
)


class AnthropicWire:
    """``POST /v1/messages``."""

    name = "anthropic"

    def encode(self, request: ChatRequest, model: str, *, stream: bool) -> EncodedRequest:
        """See ``Wire.encode``."""
        warnings = unsupported(request, UNSUPPORTED)
        body: dict[str, Any] = {
            "model": model,
            "max_tokens": request.max_output_tokens or DEFAULT_MAX_TOKENS,
            "messages": turns_of(request.messages),
        }
        if system := "\n\n".join(m.text() for m in request.messages if m.role in ("system", "developer")):
            body["system"] = system
        if stream:
            body["stream"] = True
        if request.stop:
            body["stop_sequences"] = request.stop
        if request.user:
            body["metadata"] = {"user_id": request.user}
        _tools(request, body)
        _output(request, body, warnings)
        return EncodedRequest(
            "POST", "/v1/messages", {"anthropic-version": VERSION}, orjson.dumps(body), tuple(warnings)
        )

    def decode(self, headers: Headers, body: bytes) -> ChatResponse:
        """See ``Wire.decode``."""
        found = load_object(body, "the answer")
        DRIFT.fields(self.name, "answer", found, KNOWN_TOP)
        try:
            choice = choice_of(found["content"])
            choice.finish_reason = finish_of(found.get("stop_reason"))
            usage = usage_of(found.get("usage") or {})
        except (KeyError, TypeError, AttributeError) as error:
            raise malformed("the answer", error) from error
        if choice.finish_reason is None:
            raise ProviderError(ErrorClass.MALFORMED, "the answer has no stop_reason")
        return ChatResponse(
            id=found.get("id"),
            model=found.get("model"),
            choices=[choice],
            usage=usage,
            provider_request_id=headers.get("request-id"),
        )

    def decode_error(self, status: int, headers: Headers, body: bytes) -> ProviderError:
        """See ``Wire.decode_error``."""
        found = load_error(body)
        detail = found.get("error")
        detail = detail if isinstance(detail, dict) else {}
        more = detail.get("details")
        code = more.get("error_code") if isinstance(more, dict) else None
        return error_of(
            status,
            headers,
            detail.get("message"),
            code=code or detail.get("type"),
            request_id=headers.get("request-id") or found.get("request_id"),
        )

    def stream_decoder(self) -> StreamDecoder:
        """See ``Wire.stream_decoder``."""
        return AnthropicStream()

    def models_path(self) -> str:
        """See ``Wire.models_path``."""
        return "/v1/models"

    def decode_models(self, body: bytes) -> list[str]:
        """See ``Wire.decode_models``."""
        data = load_object(body, "the list of models").get("data", [])
        return [str(each["id"]) for each in data if isinstance(each, dict) and "id" in each]


def unsupported(request: ChatRequest, table: dict[str, str]) -> list[Unhonoured]:
    """A warning for each parameter of ``table`` that the caller gave, and for each that nobody knows."""
    found = [Unhonoured(name, why) for name, why in table.items() if getattr(request, name) is not None]
    if request.n is not None and request.n > 1 and "n" not in table:
        found.append(Unhonoured("n", "this provider gives one answer per call"))
    found += [Unhonoured(name, "unknown to this provider's wire") for name in request.extra]
    return found


def _tools(request: ChatRequest, body: dict[str, Any]) -> None:
    if not request.tools:
        return
    body["tools"] = [
        {
            "name": tool.name,
            **({"description": tool.description} if tool.description is not None else {}),
            "input_schema": tool.parameters or {"type": "object", "properties": {}},
            **({"strict": tool.strict} if tool.strict is not None else {}),
        }
        for tool in request.tools
    ]
    choice = choice_word(request.tool_choice)
    if request.parallel_tool_calls is False:
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    if choice is not None:
        body["tool_choice"] = choice


def choice_word(choice: ToolChoice | None) -> dict[str, Any] | None:
    """``tool_choice`` in Anthropic's words."""
    if choice is None:
        return None
    if choice.mode == "function":
        return {"type": "tool", "name": choice.name}
    return {"type": {"auto": "auto", "none": "none", "required": "any"}[choice.mode]}


def _output(request: ChatRequest, body: dict[str, Any], warnings: list[Unhonoured]) -> None:
    output: dict[str, Any] = {}
    wanted = request.response_format
    if wanted is not None and wanted.kind == "json_schema":
        output["format"] = {"type": "json_schema", "schema": closed(wanted.schema or {})}
    elif wanted is not None and wanted.kind == "json_object":
        warnings.append(Unhonoured("response_format", "json_object is not offered; use json_schema"))
    if request.reasoning_effort is not None:
        if request.reasoning_effort in EFFORT:
            output["effort"] = EFFORT[request.reasoning_effort]
            body["thinking"] = {"type": "adaptive"}
        elif request.reasoning_effort != "none":
            warnings.append(
                Unhonoured(
                    "reasoning_effort", f"'{request.reasoning_effort}' is not one of {', '.join(EFFORT)}"
                )
            )
    if output:
        body["output_config"] = output


def closed(schema: Any) -> Any:
    """``schema`` with ``additionalProperties: false`` where an object says nothing: the API demands that it is said."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: each if name in ("enum", "const") else closed(each) for name, each in schema.items()}
    return {**found, "additionalProperties": False} if _open(found) else found


def _open(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "object" and "additionalProperties" not in schema


def turns_of(messages: list[Message]) -> list[dict[str, Any]]:
    """User and assistant turns; tool results become user blocks; neighbours of the same role are merged."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        if message.role in ("system", "developer"):
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = blocks_of(message)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"].extend(blocks)
        elif blocks:
            turns.append({"role": role, "content": blocks})
    return turns


def blocks_of(message: Message) -> list[dict[str, Any]]:
    """The content blocks of one message."""
    if message.role == "tool":
        return [{"type": "tool_result", "tool_use_id": message.tool_call_id or "", "content": message.text()}]
    content = message.content
    blocks: list[dict[str, Any]] = (
        [{"type": "text", "text": content}] if isinstance(content, str) and content else []
    )
    if isinstance(content, list):
        blocks = [part_of(part) for part in content]
    for call in message.tool_calls:
        blocks.append(
            {"type": "tool_use", "id": call.id, "name": call.name, "input": object_of(call.arguments)}
        )
    return blocks


def object_of(arguments: str) -> dict[str, Any]:
    """Tool arguments as an object; what is not one is kept under ``_raw`` rather than lost."""
    try:
        found = orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        return {"_raw": arguments}
    return found if isinstance(found, dict) else {"_raw": arguments}


def part_of(part: Part) -> dict[str, Any]:
    """One content part as a block."""
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, ImagePart):
        if part.url is not None:
            return {"type": "image", "source": {"type": "url", "url": part.url}}
        return {
            "type": "image",
            "source": {"type": "base64", "media_type": part.media_type, "data": part.data},
        }
    raise ProviderError(
        ErrorClass.UNSUPPORTED,
        f"content of type '{part.kind}' cannot be sent to this provider",
        param="messages",
    )


def choice_of(content: list[dict[str, Any]]) -> Choice:
    """All blocks of an answer as one choice."""
    text: list[str] = []
    thinking: list[str] = []
    calls: list[ToolCall] = []
    for block in content:
        kind = block["type"]
        if kind == "text":
            text.append(block["text"])
        elif kind == "thinking":
            thinking.append(block.get("thinking") or "")
        elif kind == "tool_use":
            calls.append(
                ToolCall(block["id"], block["name"], orjson.dumps(block.get("input") or {}).decode())
            )
        elif kind != "redacted_thinking":
            DRIFT.note("anthropic", "content", str(kind))
    return Choice(text="".join(text) if text else None, reasoning="".join(thinking) or None, tool_calls=calls)


def finish_of(value: object) -> FinishReason | None:
    """Canonical finish reason; an unknown word counts as a stop, and as drift."""
    if value is None:
        return None
    if value not in FINISH:
        DRIFT.note("anthropic", "stop_reason", str(value))
    return FINISH.get(str(value), FinishReason.STOP)


def usage_of(found: dict[str, Any]) -> Usage:
    """Anthropic's input excludes what was read from and written to the cache; ours includes it."""
    plain = as_int(found.get("input_tokens"))
    cached = as_int(found.get("cache_read_input_tokens"))
    written = as_int(found.get("cache_creation_input_tokens"))
    total = None if plain is None else plain + (cached or 0) + (written or 0)
    details = found.get("output_tokens_details")
    return Usage(
        input_tokens=total,
        output_tokens=as_int(found.get("output_tokens")),
        cached_input_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=as_int(details.get("thinking_tokens")) if isinstance(details, dict) else None,
    )


class AnthropicStream:
    """Decoder of one stream. Complete = ``message_stop`` was seen."""

    __slots__ = ("_calls", "_id", "_sse", "_stopped", "_usage")

    def __init__(self) -> None:
        self._sse = SseParser()
        self._stopped = False
        self._usage: dict[str, Any] = {}
        self._calls: dict[int, int] = {}
        self._id: str | None = None

    def feed(self, data: bytes) -> list[ChatChunk]:
        """See ``StreamDecoder.feed``."""
        try:
            events = self._sse.feed(data)
        except SseTooLarge as error:
            raise ProviderError(ErrorClass.MALFORMED, str(error)) from error
        chunks: list[ChatChunk] = []
        for event in events:
            found = load_object(event.data, "a stream event")
            try:
                chunk = self._event(event, found)
            except (KeyError, TypeError, AttributeError) as error:
                raise malformed("a stream event", error) from error
            if chunk is not None:
                chunk.id = self._id
                chunks.append(chunk)
        return chunks

    def _event(self, event: SseEvent, found: dict[str, Any]) -> ChatChunk | None:
        kind = found.get("type") or event.event
        if kind == "content_block_delta":
            return self._delta(found["index"], found["delta"])
        if kind == "content_block_start":
            return self._start(found["index"], found["content_block"])
        if kind == "message_start":
            self._id = found["message"].get("id")
            self._usage.update(found["message"].get("usage") or {})
        elif kind == "message_delta":
            self._usage.update({k: v for k, v in (found.get("usage") or {}).items() if v is not None})
            return ChatChunk(
                finish_reason=finish_of((found.get("delta") or {}).get("stop_reason")),
                usage=usage_of(self._usage),
            )
        elif kind == "message_stop":
            self._stopped = True
        elif kind == "error":
            raise _stream_error(found.get("error"))
        elif kind not in STREAM_EVENTS:
            DRIFT.note("anthropic", "event", str(kind))
        return None

    def _start(self, index: int, block: dict[str, Any]) -> ChatChunk | None:
        if block["type"] == "tool_use":
            position = self._calls[index] = len(self._calls)
            return ChatChunk(tool_calls=[ToolCallDelta(position, block["id"], block["name"])])
        if block["type"] == "text" and block.get("text"):
            return ChatChunk(text=block["text"])
        if block["type"] not in ("text", "thinking", "redacted_thinking"):
            DRIFT.note("anthropic", "content", str(block["type"]))
        return None

    def _delta(self, index: int, delta: dict[str, Any]) -> ChatChunk | None:
        kind = delta["type"]
        if kind == "text_delta":
            return ChatChunk(text=delta["text"])
        if kind == "thinking_delta":
            return ChatChunk(reasoning=delta["thinking"])
        if kind == "input_json_delta":
            if index not in self._calls:
                return None
            return ChatChunk(tool_calls=[ToolCallDelta(self._calls[index], arguments=delta["partial_json"])])
        if kind not in ("signature_delta", "citations_delta"):
            DRIFT.note("anthropic", "delta", str(kind))
        return None

    def finish(self) -> None:
        """See ``StreamDecoder.finish``."""
        if not self._stopped:
            raise truncated("no message_stop")


def _stream_error(detail: object) -> ProviderError:
    found = detail if isinstance(detail, dict) else {}
    kind = {"overloaded_error": ErrorClass.OVERLOADED, "rate_limit_error": ErrorClass.RATE_LIMITED}
    code = str(found.get("type"))
    return ProviderError(
        kind.get(code, ErrorClass.STREAM_ERROR),
        str(found.get("message") or "error in the stream"),
        status=200,
        code=code,
    )
