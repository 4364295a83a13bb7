"""Gemini's generateContent: requests, answers, and streams as events or as one JSON array."""

import re
from base64 import b64decode, b64encode
from typing import Any

import orjson

from fairlead_simulator import tokens
from fairlead_simulator.answers import Answer, Choice, logprob
from fairlead_simulator.ask import Ask, Call, Image, Part, Result, Tool, Turn
from fairlead_simulator.checks import (
    ANY,
    FLAG,
    INTEGER,
    LIST,
    TABLE,
    TEXT,
    Flaw,
    Path,
    Rule,
    check,
    check_value,
    integer,
    need,
    number,
    one_of,
    several,
    table,
    tables,
)
from fairlead_simulator.schema import flaw_of
from fairlead_simulator.vendors import google_models
from fairlead_simulator.vendors.google_models import refused
from fairlead_simulator.vendors.google_names import camel_fields
from fairlead_simulator.vendors.vendor import JSON, SSE, Chat, Frames, Model, data, dumps

NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")
CACHED_FROM = 2048
RULES: dict[str, Rule] = {
    "model": TEXT,
    "contents": LIST,
    "systemInstruction": TABLE,
    "tools": LIST,
    "toolConfig": TABLE,
    "safetySettings": LIST,
    "generationConfig": TABLE,
    "cachedContent": TEXT,
    "labels": TABLE,
    "serviceTier": TEXT,
    "store": FLAG,
}
CONFIG_RULES: dict[str, Rule] = {
    "temperature": number(0, 2),
    "topP": number(0, 1),
    "topK": number(0),
    "candidateCount": integer(1, 8),
    "maxOutputTokens": integer(1),
    "stopSequences": several(5),
    "responseLogprobs": FLAG,
    "logprobs": integer(0, 20),
    "presencePenalty": number(-2, 2),
    "frequencyPenalty": number(-2, 2),
    "seed": INTEGER,
    "responseMimeType": TEXT,
    "responseSchema": TABLE,
    "responseJsonSchema": ANY,
    "responseFormat": ANY,
    "thinkingConfig": TABLE,
    "responseModalities": LIST,
    "mediaResolution": TEXT,
    "speechConfig": TABLE,
    "imageConfig": TABLE,
    "audioTimestamp": FLAG,
    "enableEnhancedCivicAnswers": FLAG,
}
CALLING_RULES = {
    "mode": one_of("MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"),
    "allowedFunctionNames": LIST,
    "streamFunctionCallArguments": FLAG,
}
PARTS = ("text", "inlineData", "fileData", "functionCall", "functionResponse")
JSON_TYPE = "application/json"
FINISH = {
    "length": "MAX_TOKENS",
    "window": "MAX_TOKENS",
    "refusal": "SAFETY",
    "filter": "SAFETY",
    "broken_tool": "MALFORMED_FUNCTION_CALL",
}
SETTINGS = "temperature topP topK presencePenalty frequencyPenalty mediaResolution".split()
STANDARD = str.maketrans("-_", "+/")
"""Bytes may be in either alphabet of base64, with or without padding."""
SIGNATURE = b64encode(b"a signature of the simulator").decode()


def read(body: dict[str, Any], model: Model, *, stream: bool, events: bool) -> Chat:
    """The request for an answer in ``body``. Raises Flaw and Refused."""
    body = camel_fields(body)
    check(body, RULES)
    config = body.get("generationConfig") or {}
    check(config, CONFIG_RULES, ("generationConfig",))
    ask = ask_of(body, model)
    ask.stream = stream
    ask.thinking = google_models.thinking(model, config.get("thinkingConfig"))
    if not ask.thinking.tokens:
        ask.thinking = None
    _configure(ask, config)
    _choose_tool(ask, body.get("toolConfig"))
    _check_size(ask, model)
    return Chat(ask, ContentWriter(events=events))


def ask_of(body: dict[str, Any], model: Model) -> Ask:
    """Tools, system prompt and turns of ``body``. Raises Flaw and Refused."""
    contents = body.get("contents")
    if not contents:
        raise refused("* GenerateContentRequest.contents: contents is not specified")
    turns = [_turn(each, ("contents", place)) for place, each in enumerate(tables(contents, ("contents",)))]
    system = body.get("systemInstruction")
    _check_turns(turns)
    if "signed" in model.traits:
        _check_signatures(contents)
    return Ask(
        model=model.id,
        turns=turns,
        system=_turn(system, ("systemInstruction",)).text if system else "",
        tools=_tools(body.get("tools") or []),
        context_window=model.context,
        cached_from=CACHED_FROM,
    )


def _turn(content: dict[str, Any], path: Path) -> Turn:
    role = content.get("role") or "user"
    if role not in ("user", "model", "function", "system"):
        raise refused("Please use a valid role: user, model.")
    parts = tables(content.get("parts") or [], (*path, "parts"))
    if not parts:
        raise refused(f"* GenerateContentRequest.{path[0]}.parts: contents.parts must not be empty.")
    found = [_part(part, (*path, "parts", position)) for position, part in enumerate(parts)]
    if any(isinstance(each, Result) for each in found):
        return Turn("tool", found)
    return Turn("assistant" if role == "model" else "user", found)


def _part(part: dict[str, Any], path: Path) -> Part:
    kind = next((name for name in PARTS if name in part), None)
    match kind:
        case "text":
            check_value(part["text"], TEXT, (*path, "text"))
            return "" if part.get("thought") else str(part["text"])
        case "inlineData":
            return _inline(table(part["inlineData"], (*path, "inlineData")), (*path, "inlineData"))
        case "fileData":
            need(part["fileData"], "fileUri", path=(*path, "fileData"))
            return Image(part["fileData"].get("mimeType"), url=str(part["fileData"]["fileUri"]))
        case "functionCall":
            call = table(part["functionCall"], (*path, "functionCall"))
            need(call, "name", path=(*path, "functionCall"))
            return Call(str(call.get("id") or call["name"]), str(call["name"]), call.get("args") or {})
        case "functionResponse":
            given = table(part["functionResponse"], (*path, "functionResponse"))
            need(given, "name", "response", path=(*path, "functionResponse"))
            text = orjson.dumps(table(given["response"], (*path, "functionResponse", "response"))).decode()
            failed = "error" in given["response"]
            return Result(str(given.get("id") or given["name"]), str(given["name"]), text, failed)
        case _:
            raise refused(
                "* GenerateContentRequest.contents.parts.data: required oneof field 'data' must have one initialized field"
            )


def _inline(given: dict[str, Any], path: Path) -> Image:
    need(given, "mimeType", "data", path=path)
    try:
        text = str(given["data"]).translate(STANDARD)
        found = Image(str(given["mimeType"]), b64decode(text + "=" * (-len(text) % 4), validate=True))
    except ValueError as error:
        raise Flaw("other", (*path, "data"), None, "Base64 decoding failed") from error
    if given["mimeType"].startswith("image/") and found.picture is None:
        raise refused(
            "Unable to process input image. Please retry or report in "
            "https://developers.generativeai.google/guide/troubleshooting"
        )
    return found


def _check_turns(turns: list[Turn]) -> None:
    for position, turn in enumerate(turns):
        before = turns[position - 1] if position else None
        if turn.calls and (before is None or before.role == "assistant"):
            raise refused(
                "Please ensure that function call turn comes immediately after a user turn or after a function response"
                " turn."
            )
        if turn.results and (before is None or not before.calls):
            raise refused(
                "Please ensure that function response turn comes immediately after a function call turn."
            )
        if before is not None and before.calls and len(turn.results) != len(before.calls):
            raise refused(
                "Please ensure that the number of function response parts is equal to the number of function call parts"
                " of the function call turn."
            )


def _check_signatures(contents: list[dict[str, Any]]) -> None:
    """Calls after the last question must carry the signature they came with: the first call of each turn does."""
    start = max(
        (place for place, each in enumerate(contents) if each.get("role") != "model" and _asks(each)),
        default=0,
    )
    for place, content in enumerate(contents):
        calls = [part for part in content.get("parts") or () if "functionCall" in part]
        if place > start and calls and not calls[0].get("thoughtSignature"):
            name = calls[0]["functionCall"].get("name")
            raise refused(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to work"
                " correctly, and missing thought_signature may lead to degraded model performance. Additional data,"
                f" function call `default_api:{name}` , position {place + 1}."
            )


def _asks(content: dict[str, Any]) -> bool:
    return any("functionResponse" not in part for part in content.get("parts") or ())


def _tools(value: list[Any]) -> list[Tool]:
    found: list[Tool] = []
    for position, tool in enumerate(tables(value, ("tools",))):
        place = ("tools", position, "functionDeclarations")
        for number_, each in enumerate(tables(tool.get("functionDeclarations") or [], place)):
            where = f"tools[{position}].function_declarations[{number_}]"
            if not NAME.fullmatch(str(each.get("name") or "")):
                raise refused(
                    f"* GenerateContentRequest.{where}.name: [FIELD_INVALID] Invalid function name."
                )
            schema = (
                each.get("parametersJsonSchema")
                or each.get("parameters")
                or {"type": "object", "properties": {}}
            )
            if flaw := flaw_of(schema):
                raise refused(f"* GenerateContentRequest.{where}.parameters: [FIELD_INVALID] {flaw}")
            if str(schema.get("type", "")).lower() != "object":
                raise refused(f"* GenerateContentRequest.{where}.parameters.type: should be OBJECT")
            found.append(Tool(str(each["name"]), schema))
    return found


def _configure(ask: Ask, config: dict[str, Any]) -> None:
    ask.max_tokens = config.get("maxOutputTokens")
    ask.stop = list(config.get("stopSequences") or ())
    ask.seed = config.get("seed")
    ask.n = config.get("candidateCount") or 1
    ask.settings = {name: config[name] for name in SETTINGS if config.get(name) is not None}
    if config.get("logprobs") is not None and not config.get("responseLogprobs"):
        raise refused("logprobs is only allowed when response_logprobs is true.")
    if config.get("responseLogprobs"):
        ask.logprobs = config.get("logprobs") or 0
    media = config.get("responseMimeType") or "text/plain"
    if media not in ("text/plain", JSON_TYPE, "text/x.enum"):
        message = "allowed mimetypes are `text/plain`, `application/json`, `application/xml`, `application/yaml` and"
        raise refused(
            f"* GenerateContentRequest.generation_config.response_mime_type: {message} `text/x.enum`."
        )
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    if schema is None:
        ask.json_object = media == JSON_TYPE
        return
    if media == "text/plain":
        message = "only allowed when response_mime_type is `application/json` or `text/x.enum`"
        raise refused(f"* GenerateContentRequest.generation_config.response_schema: {message}.")
    if flaw := flaw_of(schema):
        raise refused(f"* GenerateContentRequest.generation_config.response_schema: {flaw}")
    ask.schema = schema


def _choose_tool(ask: Ask, config: dict[str, Any] | None) -> None:
    calling = (config or {}).get("functionCallingConfig") or {}
    check(calling, CALLING_RULES, ("toolConfig", "functionCallingConfig"))
    mode, allowed = calling.get("mode") or "AUTO", calling.get("allowedFunctionNames")
    if allowed is not None:
        if mode not in ("ANY", "VALIDATED"):
            raise refused(
                "allowed_function_names should only be set when the function calling mode is ANY or VALIDATED."
            )
        known = [tool.name for tool in ask.tools]
        if strange := [name for name in allowed if name not in known]:
            raise refused(
                f"allowed_function_names contains '{strange[0]}', which is not among the declared functions."
            )
        ask.tools = [tool for tool in ask.tools if tool.name in allowed]
    ask.forbid_tools = mode == "NONE"
    ask.force_tool = "*" if mode == "ANY" and ask.tools else None
    media_json = ask.schema is not None or ask.json_object
    if media_json and ask.tools and "json_beside_tools" not in google_models.MODELS[ask.model].traits:
        raise refused("Function calling with a response mime type: 'application/json' is unsupported")


def _check_size(ask: Ask, model: Model) -> None:
    if ask.max_tokens is not None and ask.max_tokens > model.output:
        raise refused(
            f"Unable to submit request because it has a maxOutputTokens value of {ask.max_tokens} but the supported range"
            f" is from 1 (inclusive) to {model.output + 1} (exclusive). Update the value and try again."
        )
    if ask.input_tokens > model.context:
        raise refused(
            f"The input token count ({ask.input_tokens}) exceeds the maximum number of tokens allowed ({model.context})."
        )


class ContentWriter:
    """Writes ``GenerateContentResponse`` objects. A stream is server-sent events, or one JSON array."""

    def __init__(self, *, events: bool) -> None:
        self._events = events
        self.media = SSE if events else JSON

    def whole(self, ask: Ask, answer: Answer) -> bytes:
        """See ``Writer.whole``."""
        candidates = [
            _candidate(index, _parts(ask, choice), choice, ask) for index, choice in enumerate(answer.choices)
        ]
        return dumps(_body(ask, answer, candidates, done=True))

    def frames(self, ask: Ask, answer: Answer) -> Frames:
        """See ``Writer.frames``."""
        found: list[Any] = []
        ends: list[Any] = []
        for index, choice in enumerate(answer.choices):
            found += [
                _body(ask, answer, [_candidate(index, [part])], done=False) for part in _streamed(ask, choice)
            ]
            last = [] if choice.finish in ("refusal", "broken_tool") else [{"text": ""}]
            ends.append(_body(ask, answer, [_candidate(index, last, choice, ask)], done=index == ask.n - 1))
        if answer.blocked:
            ends.append(_body(ask, answer, [], done=True))
        if self._events:
            return Frames([], [data(each) for each in found], [data(each) for each in ends])
        pieces = [(b",\r\n" if place else b"[") + dumps(each) for place, each in enumerate([*found, *ends])]
        return Frames([], pieces[: len(found)], [*pieces[len(found) :], b"]"])

    def error_frame(self) -> bytes:
        """See ``Writer.error_frame``."""
        message = "The service is currently unavailable."
        error = {"error": {"code": 503, "message": message, "status": "UNAVAILABLE"}}
        return data(error) if self._events else b",\r\n" + dumps(error) + b"]"

    def strange_frame(self) -> bytes:
        """See ``Writer.strange_frame``: chunks have no types."""
        return b""


def _body(ask: Ask, answer: Answer, candidates: list[Any], *, done: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"candidates": candidates}
    if answer.blocked:
        ratings = [{"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH"}]
        found = {"promptFeedback": {"blockReason": "SAFETY", "safetyRatings": ratings}}
    usage = _usage(ask, answer, done=done)
    return {**found, "usageMetadata": usage, "modelVersion": ask.model, "responseId": answer.id}


def _usage(ask: Ask, answer: Answer, *, done: bool) -> dict[str, Any]:
    """Cached tokens are part of the prompt's; thoughts are counted apart from the candidates'."""
    usage = answer.usage
    pictures = sum(image.tokens for image in ask.images)
    details = [{"modality": "TEXT", "tokenCount": usage.input - pictures}]
    details += [{"modality": "IMAGE", "tokenCount": pictures}] if pictures else []
    found: dict[str, Any] = {"promptTokenCount": usage.input, "promptTokensDetails": details}
    if usage.cached:
        found["cachedContentTokenCount"] = usage.cached
        found["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": usage.cached}]
    if not done or answer.blocked:
        return {**found, "totalTokenCount": usage.input}
    found["candidatesTokenCount"] = usage.output - usage.reasoning
    if usage.reasoning:
        found["thoughtsTokenCount"] = usage.reasoning
    return {**found, "totalTokenCount": usage.total}


def _candidate(
    index: int, parts: list[dict[str, Any]], choice: Choice | None = None, ask: Ask | None = None
) -> dict[str, Any]:
    """One candidate; with ``choice`` it is the finished one."""
    content: dict[str, Any] = {"role": "model"}
    if parts:
        content["parts"] = parts
    found: dict[str, Any] = {"content": content, "index": index}
    if choice is None or ask is None:
        return found
    found["finishReason"] = FINISH.get(choice.finish, "STOP")
    if choice.finish == "broken_tool":
        found["finishMessage"] = f"Malformed function call: {choice.calls[0].name}({choice.calls[0].text}"
    if choice.finish in ("refusal", "filter"):
        found["safetyRatings"] = [
            {"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}
        ]
    if ask.logprobs is not None and choice.text:
        found |= _logprobs(choice, ask.logprobs)
    return found


def _logprobs(choice: Choice, top: int) -> dict[str, Any]:
    chosen = [_logprob(piece, logprob(piece)) for piece in choice.pieces]
    others = [
        {
            "candidates": [
                _logprob(piece if place == 0 else f"{piece}{place}", logprob(piece) - place)
                for place in range(max(1, top))
            ]
        }
        for piece in choice.pieces
    ]
    total = sum(each["logProbability"] for each in chosen)
    result = {"chosenCandidates": chosen, "topCandidates": others, "logProbabilitySum": total}
    return {"avgLogprobs": total / len(chosen), "logprobsResult": result}


def _logprob(token: str, value: float) -> dict[str, Any]:
    return {"token": token, "tokenId": sum(token.encode()), "logProbability": value}


def _parts(ask: Ask, choice: Choice) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if ask.thinking is not None and ask.thinking.shown and choice.reasoning:
        found.append({"text": choice.reasoning, "thought": True})
    if choice.text and choice.finish != "refusal":
        found.append({"text": choice.text})
    return found + _calls(ask, choice)


def _calls(ask: Ask, choice: Choice) -> list[dict[str, Any]]:
    if choice.finish == "broken_tool":
        return []
    found: list[dict[str, Any]] = [
        {"functionCall": {"id": call.id, "name": call.name, "args": call.arguments}} for call in choice.calls
    ]
    if found and "signed" in google_models.MODELS[ask.model].traits:
        found[0]["thoughtSignature"] = SIGNATURE
    return found


def _streamed(ask: Ask, choice: Choice) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if ask.thinking is not None and ask.thinking.shown:
        found += [{"text": piece, "thought": True} for piece in tokens.pieces(choice.reasoning)]
    if choice.finish != "refusal":
        found += [{"text": piece} for piece in choice.pieces]
    return found + _calls(ask, choice)
