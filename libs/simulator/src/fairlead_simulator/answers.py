"""What a simulated model says: plausible, deterministic from seed and request, obeying limits, stops, tools and schemas."""

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

WORD = re.compile(r"\s*\S+")
TOKEN = re.compile(r"\w{1,6}|[^\w\s]")

SENTENCES = (
    "The short answer is that it depends on what you measure.",
    "Most teams begin with latency, then look at the error rate, and only later at the bill.",
    "A careful comparison keeps the prompts equal and the order random.",
    "It helps to write down beforehand which difference would change your mind.",
    "When a provider slows down, the slowest tenth of the requests tells it first.",
    "Retries should be few, and never after the first word has been sent.",
    "A queue that grows is a decision that was not made.",
    "Averages hide what percentiles show.",
    "The cheapest request is the one that need not be made.",
    "Good defaults are worth more than many options.",
    "Anything that can be measured at the client should be measured there.",
    "A stream that ends without saying so has not ended.",
)


@dataclass
class Tool:
    """A function the caller offers."""

    name: str
    schema: dict[str, Any]


@dataclass
class Ask:
    """A request in the simulator's own form."""

    model: str
    prompt: str
    stream: bool = False
    max_tokens: int | None = None
    stop: list[str] = field(default_factory=list)
    tools: list[Tool] = field(default_factory=list)
    force_tool: str | None = None
    """Name of the tool to call, or ``*`` for any."""
    forbid_tools: bool = False
    answered_tools: bool = False
    """The last turn holds tool results."""
    schema: dict[str, Any] | None = None
    json_object: bool = False
    reasoning: bool = False
    include_usage: bool = False
    input_text: str = ""
    n: int = 1


@dataclass
class Call:
    """A call of a tool."""

    id: str
    name: str
    arguments: dict[str, Any]


@dataclass
class Answer:
    """What the model says."""

    text: str
    pieces: list[str]
    finish: str
    """stop, length, tool, refusal."""
    calls: list[Call]
    reasoning: str | None
    input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    id: str


def count_tokens(text: str) -> int:
    """The simulator's own tokenizer: runs of up to six word characters, and single signs."""
    return len(TOKEN.findall(text))


def answer(ask: Ask, seed: int, vendor: str) -> Answer:
    """The answer to ``ask``; the same for the same seed and request."""
    digest = hashlib.sha256(f"{seed}|{vendor}|{ask.model}|{ask.input_text}".encode()).digest()
    identity = digest.hex()[:24]
    reasoning = "Let me think about what is being asked before answering." if ask.reasoning else None
    thought = count_tokens(reasoning or "")
    calls = _calls(ask, identity)
    if calls:
        used = sum(count_tokens(json.dumps(call.arguments)) + 4 for call in calls)
        return Answer(
            "", [], "tool", calls, reasoning, count_tokens(ask.input_text), used + thought, thought, identity
        )
    text, finish = _text(ask, digest, vendor)
    text, finish = _limited(text, finish, ask)
    pieces = WORD.findall(text)
    given, made = count_tokens(ask.input_text), count_tokens(text) + thought
    return Answer(text, pieces, finish, [], reasoning, given, made, thought, identity)


def _text(ask: Ask, digest: bytes, vendor: str) -> tuple[str, str]:
    if "simulate a refusal" in ask.prompt.lower():
        return "I cannot help with that.", "refusal"
    if ask.schema is not None:
        return json.dumps(instance_of(ask.schema, digest)), "stop"
    if ask.json_object:
        return json.dumps({"answer": SENTENCES[digest[0] % len(SENTENCES)], "model": ask.model}), "stop"
    count = 3 + digest[1] % 4
    chosen = [SENTENCES[(digest[2] + 5 * i) % len(SENTENCES)] for i in range(count)]
    opening = (
        "The tool says what you wanted to know."
        if ask.answered_tools
        else f"This is {ask.model} of {vendor} speaking."
    )
    return " ".join([opening, *chosen]), "stop"


def _limited(text: str, finish: str, ask: Ask) -> tuple[str, str]:
    for stop in ask.stop:
        if stop and stop in text:
            text = text[: text.index(stop)]
    if ask.max_tokens is not None and count_tokens(text) > ask.max_tokens:
        matches = list(TOKEN.finditer(text))
        return text[: matches[ask.max_tokens - 1].end()], "length"
    return text, finish


def _calls(ask: Ask, identity: str) -> list[Call]:
    if not ask.tools or ask.forbid_tools:
        return []
    wanted = [tool for tool in ask.tools if ask.force_tool == tool.name]
    if ask.force_tool == "*":
        wanted = ask.tools[:1]
    if not wanted and not ask.answered_tools:
        wanted = [tool for tool in ask.tools if tool.name.lower() in ask.prompt.lower()]
    return [
        Call(f"call_{identity[:12]}{i}", tool.name, instance_of(tool.schema, identity.encode()))
        for i, tool in enumerate(wanted)
    ]


def instance_of(schema: dict[str, Any], digest: bytes, depth: int = 0) -> Any:
    """A small value that satisfies ``schema`` (the subset that structured outputs allow)."""
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][digest[0] % len(schema["enum"])]
    for name in ("anyOf", "oneOf", "allOf"):
        if schema.get(name):
            return instance_of(schema[name][0], digest, depth + 1)
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    kind = str(kind).lower() if kind else ("object" if "properties" in schema else "string")
    if kind == "object":
        properties = schema.get("properties") or {}
        return (
            {name: instance_of(each, digest, depth + 1) for name, each in properties.items()}
            if depth < 8
            else {}
        )
    if kind == "array":
        return [
            instance_of(schema.get("items") or {}, digest, depth + 1)
            for _ in range(max(1, schema.get("minItems", 1)))
        ]
    numbers = {"integer": int(schema.get("minimum", 7)), "number": float(schema.get("minimum", 0.5))}
    return {"boolean": True, "null": None, **numbers}.get(kind, "a sensible value")
