"""Reads requests for Gemini's generateContent."""

import re
from base64 import b64decode
from typing import Any

import orjson

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
from fairlead_simulator.vendors.google import models
from fairlead_simulator.vendors.google.answers import ContentWriter
from fairlead_simulator.vendors.google.models import refused
from fairlead_simulator.vendors.google.names import camel_fields
from fairlead_simulator.vendors.vendor import Chat, Model

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
SETTINGS = "temperature topP topK presencePenalty frequencyPenalty mediaResolution".split()
STANDARD = str.maketrans("-_", "+/")
"""Bytes may be in either alphabet of base64, with or without padding."""


def read(body: dict[str, Any], model: Model, *, stream: bool, events: bool) -> Chat:
    """The request for an answer in ``body``. Raises Flaw and Refused."""
    body = camel_fields(body)
    check(body, RULES)
    config = body.get("generationConfig") or {}
    check(config, CONFIG_RULES, ("generationConfig",))
    ask = ask_of(body, model)
    ask.stream = stream
    ask.thinking = models.thinking(model, config.get("thinkingConfig"))
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
    if media_json and ask.tools and "json_beside_tools" not in models.MODELS[ask.model].traits:
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
