"""The Cohere v2 chat wire."""

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
    OtherPart,
    TextPart,
    ToolCall,
    ToolCallDelta,
    Unhonoured,
    Usage,
)
from fairlead_models.wires.anthropic import unsupported
from fairlead_models.wires.openai import part_of, tool_of
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

FINISH = {
    "COMPLETE": FinishReason.STOP,
    "STOP_SEQUENCE": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "TOOL_CALL": FinishReason.TOOL_CALLS,
    "ERROR": FinishReason.ERROR,
    "ERROR_TOXIC": FinishReason.CONTENT_FILTER,
    "ERROR_LIMIT": FinishReason.LENGTH,
    "TIMEOUT": FinishReason.ERROR,
}
BUDGETS = {"minimal": 256, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 32768, "max": 32768}
EVENTS = frozenset(
    "message-start content-start content-delta content-end tool-plan-delta tool-call-start tool-call-delta tool-call-end"
    " citation-start citation-end message-end debug".split()
)
KNOWN_TOP = frozenset(["id", "finish_reason", "message", "usage", "logprobs", "prompt", "meta"])


class CohereWire:
    """``POST /v2/chat``."""

    name = "cohere"

    def encode(self, request: ChatRequest, model: str, *, stream: bool) -> EncodedRequest:
        """See ``Wire.encode``."""
        warnings = unsupported(
            request,
            {"top_logprobs": "not offered by the Cohere API", "user": "not offered by the Cohere API"},
        )
        simple = {
            "max_tokens": request.max_output_tokens,
            "temperature": request.temperature,
            "p": request.top_p,
            "stop_sequences": request.stop or None,
            "seed": request.seed,
            "frequency_penalty": request.frequency_penalty,
            "presence_penalty": request.presence_penalty,
            "logprobs": request.logprobs,
        }
        body: dict[str, Any] = {
            "model": model,
            "messages": [message_of(message) for message in request.messages],
            "stream": stream,
            **{name: value for name, value in simple.items() if value is not None},
        }
        _more(request, body, warnings)
        return EncodedRequest("POST", "/v2/chat", {}, orjson.dumps(body), tuple(warnings))

    def decode(self, headers: Headers, body: bytes) -> ChatResponse:
        """See ``Wire.decode``."""
        found = load_object(body, "the answer")
        DRIFT.fields(self.name, "answer", found, KNOWN_TOP)
        try:
            choice = choice_of(found["message"])
            choice.finish_reason = finish_of(found["finish_reason"])
            usage = usage_of(found.get("usage"))
        except (KeyError, TypeError, AttributeError) as error:
            raise malformed("the answer", error) from error
        if choice.finish_reason is FinishReason.ERROR:
            raise ProviderError(
                ErrorClass.SERVER_ERROR, f"the answer ended with {found['finish_reason']}", status=200
            )
        return ChatResponse(
            id=found.get("id"),
            model=None,
            choices=[choice],
            usage=usage,
            provider_request_id=headers.get("x-debug-trace-id"),
        )

    def decode_error(self, status: int, headers: Headers, body: bytes) -> ProviderError:
        """See ``Wire.decode_error``."""
        found = load_error(body)
        return error_of(status, headers, found.get("message"), request_id=headers.get("x-debug-trace-id"))

    def stream_decoder(self) -> StreamDecoder:
        """See ``Wire.stream_decoder``."""
        return CohereStream()

    def models_path(self) -> str:
        """See ``Wire.models_path``: the list is still on v1."""
        return "/v1/models"

    def decode_models(self, body: bytes) -> list[str]:
        """See ``Wire.decode_models``."""
        data = load_object(body, "the list of models").get("models", [])
        return [str(each["name"]) for each in data if isinstance(each, dict) and "name" in each]


def _more(request: ChatRequest, body: dict[str, Any], warnings: list[Unhonoured]) -> None:
    if request.tools:
        body["tools"] = [{**tool_of(tool), "function": _function(tool_of(tool))} for tool in request.tools]
        if any(tool.strict for tool in request.tools):
            body["strict_tools"] = True
    choice = request.tool_choice
    if choice is not None and choice.mode in ("required", "none", "function"):
        body["tool_choice"] = "NONE" if choice.mode == "none" else "REQUIRED"
        if choice.mode == "function":
            body["tools"] = [
                tool for tool in body.get("tools", ()) if tool["function"]["name"] == choice.name
            ]
    wanted = request.response_format
    if wanted is not None and wanted.kind != "text":
        body["response_format"] = {"type": "json_object"}
        if wanted.kind == "json_schema":
            body["response_format"]["json_schema"] = wanted.schema or {}
    if request.parallel_tool_calls is False:
        warnings.append(Unhonoured("parallel_tool_calls", "the Cohere API decides by itself"))
    effort = request.reasoning_effort
    if effort == "none":
        body["thinking"] = {"type": "disabled"}
    elif effort in BUDGETS:
        body["thinking"] = {"type": "enabled", "token_budget": BUDGETS[effort]}
    elif effort is not None:
        warnings.append(Unhonoured("reasoning_effort", f"'{effort}' is not one of {', '.join(BUDGETS)}"))


def _function(tool: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in tool["function"].items() if name != "strict"}


def message_of(message: Message) -> dict[str, Any]:
    """One message in Cohere's form."""
    role = "system" if message.role == "developer" else message.role
    found: dict[str, Any] = {"role": role}
    content = message.content
    if isinstance(content, list):
        found["content"] = [_part(part) for part in content]
    elif content is not None:
        found["content"] = content
    if message.tool_calls:
        found["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        found["tool_call_id"] = message.tool_call_id
    return found


def _part(part: TextPart | ImagePart | OtherPart) -> dict[str, Any]:
    if isinstance(part, OtherPart):
        raise ProviderError(
            ErrorClass.UNSUPPORTED,
            f"content of type '{part.kind}' cannot be sent to this provider",
            param="messages",
        )
    return part_of(part)


def choice_of(message: dict[str, Any]) -> Choice:
    """The message of an answer."""
    text, thinking = [], []
    for block in message.get("content") or ():
        kind = block["type"]
        if kind == "text":
            text.append(block["text"])
        elif kind == "thinking":
            thinking.append(block.get("thinking") or "")
        else:
            DRIFT.note("cohere", "content", str(kind))
    calls = [
        ToolCall(call["id"], call["function"]["name"], call["function"].get("arguments") or "{}")
        for call in message.get("tool_calls") or ()
    ]
    return Choice(text="".join(text) if text else None, reasoning="".join(thinking) or None, tool_calls=calls)


def finish_of(value: object) -> FinishReason | None:
    """Canonical finish reason; an unknown word counts as a stop, and as drift."""
    if value is None:
        return None
    if value not in FINISH:
        DRIFT.note("cohere", "finish_reason", str(value))
    return FINISH.get(str(value), FinishReason.STOP)


def usage_of(found: object) -> Usage:
    """Billed units where given: they are what the bill counts; else the raw token counts."""
    if not isinstance(found, dict):
        return Usage()
    for name in ("billed_units", "tokens"):
        counts = found.get(name)
        if isinstance(counts, dict) and as_int(counts.get("input_tokens")) is not None:
            return Usage(as_int(counts["input_tokens"]), as_int(counts.get("output_tokens")))
    return Usage()


class CohereStream:
    """Decoder of one stream. Complete = ``message-end`` was seen, with a finish reason that is no error."""

    __slots__ = ("_ended", "_id", "_sse")

    def __init__(self) -> None:
        self._sse = SseParser()
        self._ended = False
        self._id: str | None = None

    def feed(self, data: bytes) -> list[ChatChunk]:
        """See ``StreamDecoder.feed``."""
        try:
            events = self._sse.feed(data)
        except SseTooLarge as error:
            raise ProviderError(ErrorClass.MALFORMED, str(error)) from error
        chunks: list[ChatChunk] = []
        for event in events:
            if event.data.strip() in (b"", b"[DONE]"):
                continue
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
        if kind in ("content-delta", "content-start"):
            content = found["delta"]["message"]["content"]
            return ChatChunk(text=content.get("text") or None, reasoning=content.get("thinking") or None)
        if kind in ("tool-call-start", "tool-call-delta"):
            return self._call(found)
        if kind == "message-start":
            self._id = found.get("id")
        elif kind == "message-end":
            return self._end(found.get("delta") or {})
        elif "error" in found or ("message" in found and "delta" not in found):
            raise ProviderError(
                ErrorClass.STREAM_ERROR, str(found.get("message") or found.get("error")), status=200
            )
        elif kind not in EVENTS:
            DRIFT.note("cohere", "event", str(kind))
        return None

    @staticmethod
    def _call(found: dict[str, Any]) -> ChatChunk:
        call = found["delta"]["message"]["tool_calls"]
        function = call.get("function") or {}
        return ChatChunk(
            tool_calls=[
                ToolCallDelta(
                    found.get("index") or 0,
                    call.get("id"),
                    function.get("name"),
                    function.get("arguments") or "",
                )
            ]
        )

    def _end(self, delta: dict[str, Any]) -> ChatChunk:
        finish = finish_of(delta.get("finish_reason"))
        if finish is FinishReason.ERROR:
            text = str(delta.get("error") or f"the stream ended with {delta.get('finish_reason')}")
            raise ProviderError(ErrorClass.STREAM_ERROR, text, status=200)
        self._ended = True
        return ChatChunk(finish_reason=finish, usage=usage_of(delta.get("usage")))

    def finish(self) -> None:
        """See ``StreamDecoder.finish``."""
        if not self._ended:
            raise truncated("no message-end")
