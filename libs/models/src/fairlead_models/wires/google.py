"""The Gemini generateContent wire (``/v1``)."""

from typing import Any
from urllib.parse import quote

import orjson
from fairlead_common.outcomes import ErrorClass

from fairlead_models.drift import DRIFT
from fairlead_models.errors import ProviderError, classify_status
from fairlead_models.sse import SseParser, SseTooLarge
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
    Unhonoured,
    Usage,
)
from fairlead_models.wires.anthropic import object_of, unsupported
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

FILTERED = (
    "SAFETY",
    "RECITATION",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "LANGUAGE",
    "IMAGE_SAFETY",
)
FINISH = {
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "MALFORMED_FUNCTION_CALL": FinishReason.ERROR,
    "UNEXPECTED_TOOL_CALL": FinishReason.ERROR,
    "OTHER": FinishReason.ERROR,
    **dict.fromkeys(FILTERED, FinishReason.CONTENT_FILTER),
}

LEVELS = {"minimal": "LOW", "low": "LOW", "medium": "MEDIUM", "high": "HIGH", "xhigh": "HIGH", "max": "HIGH"}
BUDGETS = {
    "none": 0,
    "minimal": 256,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 32768,
    "max": 32768,
}

NO_SIGNATURE = "skip_thought_signature_validator"
"""Gemini 3 demands the signature its calls came with; this stands in where a conversation did not keep it."""

KNOWN_TOP = frozenset(
    "candidates usageMetadata modelVersion responseId promptFeedback createTime modelStatus error serviceTier".split()
)


class GoogleWire:
    """``POST /v1/models/{model}:generateContent`` and ``:streamGenerateContent?alt=sse``."""

    name = "google"

    def encode(self, request: ChatRequest, model: str, *, stream: bool) -> EncodedRequest:
        """See ``Wire.encode``."""
        warnings = unsupported(request, {"user": "not offered by the Gemini API"})
        warnings = [each for each in warnings if each.param != "n"]
        body: dict[str, Any] = {"contents": contents_of(request.messages)}
        if system := "\n\n".join(m.text() for m in request.messages if m.role in ("system", "developer")):
            body["systemInstruction"] = {"parts": [{"text": system}]}
        if request.parallel_tool_calls is False:
            warnings.append(Unhonoured("parallel_tool_calls", "the Gemini API decides by itself"))
        _tools(request, body)
        if config := _config(request, model, warnings):
            body["generationConfig"] = config
        verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return EncodedRequest(
            "POST", f"/v1/models/{quote(model, safe='')}:{verb}", {}, orjson.dumps(body), tuple(warnings)
        )

    def decode(self, headers: Headers, body: bytes) -> ChatResponse:
        """See ``Wire.decode``."""
        found = load_object(body, "the answer")
        DRIFT.fields(self.name, "answer", found, KNOWN_TOP)
        try:
            choices = [
                choice_of(each, position) for position, each in enumerate(found.get("candidates") or ())
            ]
            if not choices:
                choices = [blocked(found)]
            usage = usage_of(found.get("usageMetadata"))
        except (KeyError, TypeError, AttributeError) as error:
            raise malformed("the answer", error) from error
        if any(choice.finish_reason is None for choice in choices):
            raise ProviderError(ErrorClass.MALFORMED, "the answer has no finishReason")
        return ChatResponse(
            id=found.get("responseId"),
            model=found.get("modelVersion"),
            choices=choices,
            usage=usage,
            provider_request_id=found.get("responseId"),
        )

    def decode_error(self, status: int, headers: Headers, body: bytes) -> ProviderError:
        """See ``Wire.decode_error``."""
        detail = load_error(body).get("error")
        detail = detail if isinstance(detail, dict) else {}
        return error_of(
            status,
            headers,
            detail.get("message"),
            code=detail.get("status"),
            retry_s=_retry_info(detail.get("details")),
        )

    def stream_decoder(self) -> StreamDecoder:
        """See ``Wire.stream_decoder``."""
        return GoogleStream()

    def models_path(self) -> str:
        """See ``Wire.models_path``."""
        return "/v1/models"

    def decode_models(self, body: bytes) -> list[str]:
        """See ``Wire.decode_models``."""
        data = load_object(body, "the list of models").get("models", [])
        return [
            str(each["name"]).removeprefix("models/")
            for each in data
            if isinstance(each, dict) and "name" in each
        ]


def _retry_info(details: object) -> float | None:
    for each in details if isinstance(details, list) else ():
        if isinstance(each, dict) and str(each.get("@type", "")).endswith("RetryInfo"):
            try:
                return float(str(each.get("retryDelay", "")).removesuffix("s"))
            except ValueError:
                return None
    return None


def _tools(request: ChatRequest, body: dict[str, Any]) -> None:
    if not request.tools:
        return
    body["tools"] = [
        {
            "functionDeclarations": [
                {
                    "name": tool.name,
                    **({"description": tool.description} if tool.description is not None else {}),
                    **({"parametersJsonSchema": tool.parameters} if tool.parameters is not None else {}),
                }
                for tool in request.tools
            ]
        }
    ]
    choice = request.tool_choice
    if choice is not None:
        config: dict[str, Any] = {"mode": {"auto": "AUTO", "none": "NONE"}.get(choice.mode, "ANY")}
        if choice.mode == "function":
            config["allowedFunctionNames"] = [choice.name]
        body["toolConfig"] = {"functionCallingConfig": config}


def _config(request: ChatRequest, model: str, warnings: list[Unhonoured]) -> dict[str, Any]:
    simple = {
        "maxOutputTokens": request.max_output_tokens,
        "temperature": request.temperature,
        "topP": request.top_p,
        "stopSequences": request.stop or None,
        "seed": request.seed,
        "candidateCount": request.n,
        "frequencyPenalty": request.frequency_penalty,
        "presencePenalty": request.presence_penalty,
        "responseLogprobs": request.logprobs,
        "logprobs": request.top_logprobs,
    }
    config: dict[str, Any] = {name: value for name, value in simple.items() if value is not None}
    wanted = request.response_format
    if wanted is not None and wanted.kind != "text":
        config["responseMimeType"] = "application/json"
        if wanted.kind == "json_schema":
            config["responseJsonSchema"] = wanted.schema or {}
    effort = request.reasoning_effort
    if effort is not None:
        if effort not in BUDGETS:
            warnings.append(Unhonoured("reasoning_effort", f"'{effort}' is not one of {', '.join(BUDGETS)}"))
        elif "2.5" in model or effort == "none":
            config["thinkingConfig"] = {"thinkingBudget": BUDGETS[effort]}
        else:
            config["thinkingConfig"] = {"thinkingLevel": LEVELS[effort]}
    return config


def contents_of(messages: list[Message]) -> list[dict[str, Any]]:
    """User and model turns; tool results are user parts that name the function by its call's id."""
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    contents: list[dict[str, Any]] = []
    for message in messages:
        if message.role in ("system", "developer"):
            continue
        role = "model" if message.role == "assistant" else "user"
        parts = parts_of(message, names)
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"].extend(parts)
        elif parts:
            contents.append({"role": role, "parts": parts})
    return contents


def parts_of(message: Message, names: dict[str, str]) -> list[dict[str, Any]]:
    """The parts of one message."""
    if message.role == "tool":
        name = names.get(message.tool_call_id or "", message.name or "function")
        try:
            result = orjson.loads(message.text())
        except orjson.JSONDecodeError:
            result = message.text()
        response = result if isinstance(result, dict) else {"result": result}
        return [{"functionResponse": {"id": message.tool_call_id, "name": name, "response": response}}]
    content = message.content
    parts: list[dict[str, Any]] = [{"text": content}] if isinstance(content, str) and content else []
    if isinstance(content, list):
        parts = [part_of(part) for part in content]
    for position, call in enumerate(message.tool_calls):
        part: dict[str, Any] = {
            "functionCall": {"id": call.id, "name": call.name, "args": object_of(call.arguments)}
        }
        if position == 0:
            part["thoughtSignature"] = NO_SIGNATURE
        parts.append(part)
    return parts


def part_of(part: Part) -> dict[str, Any]:
    """One content part."""
    if isinstance(part, TextPart):
        return {"text": part.text}
    if isinstance(part, ImagePart):
        if part.url is not None:
            return {
                "fileData": {
                    "fileUri": part.url,
                    **({"mimeType": part.media_type} if part.media_type else {}),
                }
            }
        return {"inlineData": {"mimeType": part.media_type, "data": part.data}}
    raise ProviderError(
        ErrorClass.UNSUPPORTED,
        f"content of type '{part.kind}' cannot be sent to this provider",
        param="messages",
    )


def blocked(found: dict[str, Any]) -> Choice:
    """An answer without candidates: the prompt was blocked, or the answer is broken."""
    feedback = found.get("promptFeedback")
    if not isinstance(feedback, dict) or "blockReason" not in feedback:
        raise ProviderError(ErrorClass.MALFORMED, "the answer has no candidates")
    return Choice(refusal=f"blocked: {feedback['blockReason']}", finish_reason=FinishReason.CONTENT_FILTER)


def choice_of(found: dict[str, Any], position: int) -> Choice:
    """One candidate."""
    text: list[str] = []
    thoughts: list[str] = []
    calls: list[ToolCall] = []
    for part in (found.get("content") or {}).get("parts") or ():
        if "functionCall" in part:
            call = part["functionCall"]
            arguments = orjson.dumps(call.get("args") or {}).decode()
            calls.append(ToolCall(call.get("id") or f"call_{position}_{len(calls)}", call["name"], arguments))
        elif "text" in part:
            (thoughts if part.get("thought") else text).append(part["text"])
        else:
            DRIFT.note("google", "part", ",".join(sorted(part)))
    index = as_int(found.get("index"))
    return Choice(
        index=position if index is None else index,
        text="".join(text) if text else None,
        reasoning="".join(thoughts) or None,
        tool_calls=calls,
        finish_reason=finish_of(found.get("finishReason"), called=bool(calls)),
    )


def finish_of(value: object, *, called: bool) -> FinishReason | None:
    """Canonical finish reason; Gemini says STOP also when it calls a function."""
    if value is None:
        return None
    if value not in FINISH:
        DRIFT.note("google", "finishReason", str(value))
    found = FINISH.get(str(value), FinishReason.STOP)
    return FinishReason.TOOL_CALLS if called and found is FinishReason.STOP else found


def usage_of(found: object) -> Usage:
    """Gemini counts thoughts apart from the candidates; our output includes them."""
    if not isinstance(found, dict):
        return Usage()
    answer, thoughts = as_int(found.get("candidatesTokenCount")), as_int(found.get("thoughtsTokenCount"))
    prompt, tools = as_int(found.get("promptTokenCount")), as_int(found.get("toolUsePromptTokenCount"))
    return Usage(
        input_tokens=None if prompt is None else prompt + (tools or 0),
        output_tokens=None if answer is None and thoughts is None else (answer or 0) + (thoughts or 0),
        cached_input_tokens=as_int(found.get("cachedContentTokenCount")),
        reasoning_tokens=thoughts,
    )


class GoogleStream:
    """Decoder of one stream. The end is a plain EOF, so complete = every candidate has its finishReason."""

    __slots__ = ("_calls", "_finished", "_open", "_sse")

    def __init__(self) -> None:
        self._sse = SseParser()
        self._calls: dict[int, int] = {}
        self._open: set[int] = set()
        self._finished: set[int] = set()

    def feed(self, data: bytes) -> list[ChatChunk]:
        """See ``StreamDecoder.feed``."""
        try:
            events = self._sse.feed(data)
        except SseTooLarge as error:
            raise ProviderError(ErrorClass.MALFORMED, str(error)) from error
        chunks: list[ChatChunk] = []
        for event in events:
            if not event.data.strip():
                continue
            found = load_object(event.data, "a stream event")
            if "error" in found:
                raise _stream_error(found["error"])
            try:
                chunks += self._event(found)
            except (KeyError, TypeError, AttributeError) as error:
                raise malformed("a stream event", error) from error
        return chunks

    def _event(self, found: dict[str, Any]) -> list[ChatChunk]:
        DRIFT.fields("google", "chunk", found, KNOWN_TOP)
        chunks = []
        candidates = found.get("candidates") or ()
        for position, candidate in enumerate(candidates):
            choice = choice_of(candidate, position)
            self._open.add(choice.index)
            before = self._calls.get(choice.index, 0)
            self._calls[choice.index] = before + len(choice.tool_calls)
            finish = finish_of(candidate.get("finishReason"), called=self._calls[choice.index] > 0)
            if finish is not None:
                self._finished.add(choice.index)
            calls = [
                ToolCallDelta(before + offset, call.id or None, call.name, call.arguments)
                for offset, call in enumerate(choice.tool_calls)
            ]
            chunks.append(
                ChatChunk(
                    choice.index,
                    choice.text,
                    choice.reasoning,
                    tool_calls=calls or None,
                    finish_reason=finish,
                )
            )
        if not candidates and "promptFeedback" in found:
            refused = blocked(found)
            self._finished.add(0)
            chunks.append(ChatChunk(refusal=refused.refusal, finish_reason=refused.finish_reason))
        if "usageMetadata" in found:
            chunks.append(ChatChunk(usage=usage_of(found["usageMetadata"])))
        for chunk in chunks:
            chunk.id = found.get("responseId")
        return chunks

    def finish(self) -> None:
        """See ``StreamDecoder.finish``."""
        if not self._finished or self._open - self._finished:
            raise truncated("no finishReason")


def _stream_error(detail: object) -> ProviderError:
    found = detail if isinstance(detail, dict) else {}
    status = as_int(found.get("code")) or 500
    kind = classify_status(status)
    if kind not in (ErrorClass.RATE_LIMITED, ErrorClass.OVERLOADED):
        kind = ErrorClass.STREAM_ERROR
    return ProviderError(kind, str(found.get("message") or "error in the stream"), status=200)
