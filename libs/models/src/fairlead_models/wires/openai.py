"""The OpenAI chat-completions wire, which most compatible endpoints speak as well.

A request that came in this format goes out as it came, with only the model and what the target demands changed, so
that parameters nobody here knows survive.
"""

from typing import Any

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
    OtherPart,
    TextPart,
    Tool,
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

FINISH = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    "model_length": FinishReason.LENGTH,
    "error": FinishReason.ERROR,
}

KNOWN_TOP = frozenset(
    "id object created model choices usage system_fingerprint service_tier metadata error provider x_groq"
    " prompt_filter_results obfuscation moderation".split()
)


class OpenAIWire:
    """``POST /chat/completions``.

    Args:
        modern: the target is OpenAI itself: it wants ``max_completion_tokens``; others mostly know ``max_tokens`` only.
    """

    def __init__(self, name: str = "openai", *, modern: bool = False) -> None:
        self.name = name
        self._modern = modern

    def encode(self, request: ChatRequest, model: str, *, stream: bool) -> EncodedRequest:
        """See ``Wire.encode``."""
        body = dict(request.raw) if request.raw is not None else body_of(request)
        body["model"] = model
        body.pop("stream", None)
        body.pop("stream_options", None)
        if stream:
            body["stream"] = True
            body["stream_options"] = {"include_usage": True}
        limit = body.pop("max_completion_tokens", None) or body.pop("max_tokens", None)
        body.pop("max_tokens", None)
        if limit is not None:
            body["max_completion_tokens" if self._modern else "max_tokens"] = limit
        warnings = self._adapt(body)
        return EncodedRequest("POST", "/chat/completions", {}, orjson.dumps(body), tuple(warnings))

    def _adapt(self, body: dict[str, Any]) -> list[Unhonoured]:
        """A place for dialects of this wire to change the body."""
        return []

    def decode(self, headers: Headers, body: bytes) -> ChatResponse:
        """See ``Wire.decode``."""
        found = load_object(body, "the answer")
        if "error" in found and not found.get("choices"):
            raise self._error_in_200(found)
        DRIFT.fields(self.name, "answer", found, KNOWN_TOP)
        try:
            choices = [choice_of(each) for each in found["choices"]]
            if not choices:
                raise ProviderError(ErrorClass.MALFORMED, "the answer has no choices")
        except (KeyError, TypeError, AttributeError) as error:
            raise malformed("the answer", error) from error
        return ChatResponse(
            id=found.get("id"),
            model=found.get("model"),
            choices=choices,
            usage=usage_of(found.get("usage")),
            created=as_int(found.get("created")),
            provider_request_id=request_id_of(headers),
            raw=found,
        )

    def _error_in_200(self, found: dict[str, Any]) -> ProviderError:
        detail = found["error"] if isinstance(found["error"], dict) else {"message": str(found["error"])}
        status = as_int(detail.get("code")) or 500
        code = detail.get("code") or detail.get("type")
        return ProviderError(
            classify_status(status, code if isinstance(code, str) else None),
            str(detail.get("message") or "error in a 200 answer"),
            status=200,
        )

    def decode_error(self, status: int, headers: Headers, body: bytes) -> ProviderError:
        """See ``Wire.decode_error``."""
        found = load_error(body)
        detail = found.get("error", found)
        if not isinstance(detail, dict):
            detail = {"message": detail}
        return error_of(
            status,
            headers,
            detail.get("message") or found.get("message"),
            code=detail.get("code") or detail.get("type"),
            param=detail.get("param"),
            request_id=request_id_of(headers),
        )

    def stream_decoder(self) -> StreamDecoder:
        """See ``Wire.stream_decoder``."""
        return OpenAIStream(self.name)

    def models_path(self) -> str:
        """See ``Wire.models_path``."""
        return "/models"

    def decode_models(self, body: bytes) -> list[str]:
        """See ``Wire.decode_models``."""
        found = load_object(body, "the list of models")
        data = found.get("data", [])
        return [str(each["id"]) for each in data if isinstance(each, dict) and "id" in each]


class OpenAIStream:
    """Decoder of one stream. Complete = ``[DONE]`` was seen, or every choice has its finish reason."""

    __slots__ = ("_done", "_finished", "_open", "_sse", "_wire")

    def __init__(self, wire: str) -> None:
        self._wire = wire
        self._sse = SseParser()
        self._done = False
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
            if event.data.strip() == b"[DONE]":
                self._done = True
            elif event.data.strip():
                self._event(event.data, chunks)
        return chunks

    def _event(self, data: bytes, chunks: list[ChatChunk]) -> None:
        found = load_object(data, "a stream event")
        if "error" in found or found.get("object") == "error":  # the latter is Mistral's form
            raise stream_error(found.get("error", found))
        DRIFT.fields(self._wire, "chunk", found, KNOWN_TOP)
        try:
            for choice in found.get("choices") or ():
                chunk = chunk_of(choice)
                chunk.id = found.get("id")
                self._open.add(chunk.index)
                if chunk.finish_reason is not None:
                    self._finished.add(chunk.index)
                chunks.append(chunk)
        except (KeyError, TypeError, AttributeError) as error:
            raise malformed("a stream event", error) from error
        if found.get("usage"):
            chunks.append(ChatChunk(usage=usage_of(found["usage"]), id=found.get("id")))

    def finish(self) -> None:
        """See ``StreamDecoder.finish``."""
        if not self._finished or self._open - self._finished:
            raise truncated("no finish reason")


def stream_error(detail: object) -> ProviderError:
    """An error object inside a stream that began with 200."""
    found = detail if isinstance(detail, dict) else {"message": str(detail)}
    code = found.get("code") or found.get("type")
    status = as_int(found.get("code"))
    machine = code if isinstance(code, str) else None
    kind = ErrorClass.STREAM_ERROR
    if status in (429, 503, 529) or machine in ("rate_limit_exceeded", "overloaded_error"):
        kind = (
            ErrorClass.RATE_LIMITED
            if status == 429 or machine == "rate_limit_exceeded"
            else ErrorClass.OVERLOADED
        )
    return ProviderError(kind, str(found.get("message") or "error in the stream"), status=200, code=machine)


def request_id_of(headers: Headers) -> str | None:
    """The id by which the provider's support can find the call."""
    for name in (
        "x-request-id",
        "request-id",
        "mistral-correlation-id",
        "x-kong-request-id",
        "x-debug-trace-id",
    ):
        if name in headers:
            return headers[name]
    return headers.get("x-generation-id")


def usage_of(found: object) -> Usage:
    """The OpenAI usage object; totals are inclusive there as here."""
    if not isinstance(found, dict):
        return Usage()
    prompt = found.get("prompt_tokens_details") or {}
    completion = found.get("completion_tokens_details") or {}
    return Usage(
        input_tokens=as_int(found.get("prompt_tokens")),
        output_tokens=as_int(found.get("completion_tokens")),
        cached_input_tokens=as_int(prompt.get("cached_tokens")) if isinstance(prompt, dict) else None,
        reasoning_tokens=as_int(completion.get("reasoning_tokens")) if isinstance(completion, dict) else None,
    )


def finish_of(value: object) -> FinishReason | None:
    """Canonical finish reason; an unknown word counts as a stop, and as drift."""
    if value is None:
        return None
    if value not in FINISH:
        DRIFT.note("openai", "finish_reason", str(value))
    return FINISH.get(str(value), FinishReason.STOP)


def text_of(content: object) -> tuple[str | None, str | None]:
    """(text, reasoning) of a message's content: a string, or Mistral's list of text and thinking chunks."""
    if content is None or isinstance(content, str):
        return content, None
    if not isinstance(content, list):
        raise TypeError(f"content is {type(content).__name__}")
    text: list[str] = []
    reasoning: list[str] = []
    for part in content:
        kind = part.get("type")
        if kind == "text":
            text.append(part["text"])
        elif kind == "thinking":
            reasoning.extend(str(inner.get("text", "")) for inner in part.get("thinking") or ())
        else:
            DRIFT.note("openai", "content", str(kind))
    return ("".join(text) if text else None), ("".join(reasoning) if reasoning else None)


def choice_of(found: dict[str, Any]) -> Choice:
    """One entry of ``choices``."""
    message = found["message"]
    text, reasoning = text_of(message.get("content"))
    calls = [
        ToolCall(
            str(call.get("id") or ""),
            call["function"]["name"],
            arguments_of(call["function"].get("arguments")),
        )
        for call in message.get("tool_calls") or ()
    ]
    return Choice(
        index=as_int(found.get("index")) or 0,
        text=text,
        reasoning=reasoning or message.get("reasoning_content") or message.get("reasoning"),
        refusal=message.get("refusal"),
        tool_calls=calls,
        finish_reason=finish_of(found.get("finish_reason")),
        logprobs=found.get("logprobs"),
    )


def arguments_of(value: object) -> str:
    """Tool arguments as JSON text; some compatible endpoints send an object."""
    if value is None:
        return "{}"
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def chunk_of(found: dict[str, Any]) -> ChatChunk:
    """One entry of a chunk's ``choices``."""
    delta = found.get("delta") or {}
    text, reasoning = text_of(delta.get("content"))
    calls = delta.get("tool_calls")
    return ChatChunk(
        index=as_int(found.get("index")) or 0,
        text=text,
        reasoning=reasoning or delta.get("reasoning_content") or delta.get("reasoning"),
        refusal=delta.get("refusal"),
        tool_calls=[call_delta(call, position) for position, call in enumerate(calls)] if calls else None,
        finish_reason=finish_of(found.get("finish_reason")),
        logprobs=found.get("logprobs"),
    )


def call_delta(call: dict[str, Any], position: int) -> ToolCallDelta:
    """One piece of a tool call; endpoints that send no index send whole calls in order."""
    function = call.get("function") or {}
    index = as_int(call.get("index"))
    arguments = function.get("arguments")
    return ToolCallDelta(
        index=position if index is None else index,
        id=call.get("id") or None,
        name=function.get("name"),
        arguments=arguments_of(arguments) if arguments else "",
    )


def body_of(request: ChatRequest) -> dict[str, Any]:
    """The OpenAI body of a request that came in another format."""
    body: dict[str, Any] = {
        "messages": [message_of(message) for message in request.messages],
        **request.extra,
    }
    simple = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop": request.stop or None,
        "seed": request.seed,
        "n": request.n,
        "frequency_penalty": request.frequency_penalty,
        "presence_penalty": request.presence_penalty,
        "logprobs": request.logprobs,
        "top_logprobs": request.top_logprobs,
        "max_completion_tokens": request.max_output_tokens,
        "reasoning_effort": request.reasoning_effort,
        "parallel_tool_calls": request.parallel_tool_calls,
        "user": request.user,
        "metadata": request.metadata or None,
    }
    body.update({name: value for name, value in simple.items() if value is not None})
    if request.tools:
        body["tools"] = [tool_of(tool) for tool in request.tools]
    if request.tool_choice is not None:
        body["tool_choice"] = choice_word(request.tool_choice)
    if request.response_format is not None:
        body["response_format"] = format_of(request)
    return body


def message_of(message: Message) -> dict[str, Any]:
    """One message in the OpenAI form."""
    found: dict[str, Any] = {"role": message.role}
    content = message.content
    found["content"] = [part_of(part) for part in content] if isinstance(content, list) else content
    if message.tool_calls:
        found["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        found["tool_call_id"] = message.tool_call_id
    if message.name is not None:
        found["name"] = message.name
    if message.refusal is not None:
        found["refusal"] = message.refusal
    return found


def part_of(part: TextPart | ImagePart | OtherPart) -> dict[str, Any]:
    """One content part in the OpenAI form."""
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, OtherPart):
        return part.raw
    url = part.url or f"data:{part.media_type};base64,{part.data}"
    image = {"url": url} if part.detail is None else {"url": url, "detail": part.detail}
    return {"type": "image_url", "image_url": image}


def tool_of(tool: Tool) -> dict[str, Any]:
    """One tool in the OpenAI form."""
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def choice_word(choice: ToolChoice) -> object:
    """``tool_choice`` in the OpenAI form."""
    if choice.mode == "function":
        return {"type": "function", "function": {"name": choice.name}}
    return choice.mode


def format_of(request: ChatRequest) -> dict[str, Any]:
    """``response_format`` in the OpenAI form."""
    wanted = request.response_format
    if wanted is None or wanted.kind != "json_schema":
        return {"type": wanted.kind if wanted else "text"}
    schema: dict[str, Any] = {"name": wanted.name or "answer", "schema": wanted.schema or {}}
    if wanted.strict is not None:
        schema["strict"] = wanted.strict
    return {"type": "json_schema", "json_schema": schema}
