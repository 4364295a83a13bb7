"""What a simulated model says: plausible, the same for the same seed and request, obeying limits, stops, tools and schemas.

The answer reflects what the model was given, so that a test can see what arrived: it names the model, quotes the system
prompt, counts the turns, describes the pictures and repeats what the tools gave back. Tools are called when they are
forced, or when the last user turn names them. ``fairlead_simulator.markers`` lists the phrases that cause special behaviour.
"""

import hashlib
import random
from dataclasses import dataclass, field
from typing import Any

import orjson

from fairlead_simulator import tokens
from fairlead_simulator.ask import Ask, Call, Part, Result, Tool, Turn
from fairlead_simulator.markers import Marks, marks
from fairlead_simulator.reciting import recited
from fairlead_simulator.schema import value_of
from fairlead_simulator.usage import Usage

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
THOUGHTS = (
    "Let me think about what is being asked before answering.",
    "The question has more than one part, so I take them in turn.",
    "I compare the options and drop those that do not fit.",
    "One more check of the reasoning shows nothing that contradicts it.",
)


@dataclass
class Choice:
    """One answer of the model."""

    text: str = ""
    finish: str = "stop"
    """stop, stop_sequence, length, window, tool, broken_tool, refusal, filter, or pause."""
    stop_sequence: str | None = None
    calls: list[Call] = field(default_factory=list)
    reasoning: str = ""
    reasoning_tokens: int = 0

    @property
    def pieces(self) -> list[str]:
        """The text as the events of a stream carry it."""
        return tokens.pieces(self.text)

    @property
    def output_tokens(self) -> int:
        """Tokens of thoughts, text and calls."""
        calls = sum(tokens.count(call.text) + 4 for call in self.calls)
        return self.reasoning_tokens + tokens.count(self.text) + calls


@dataclass
class Answer:
    """All choices, or a blocked prompt (no choices), and what they cost. ``made_at`` is in unix seconds."""

    id: str
    made_at: int
    choices: list[Choice]
    usage: Usage
    blocked: bool = False

    @property
    def first(self) -> Choice:
        """The first choice."""
        return self.choices[0]


@dataclass(frozen=True)
class Speaker:
    """Who answers: the simulator's seed, the vendor, the id and the time of this answer."""

    seed: int
    vendor: str
    id: str
    now: int


def answer(ask: Ask, speaker: Speaker, usage: Usage) -> Answer:
    """The answer to ``ask``; ``usage`` holds the input side and is completed here."""
    wanted = marks(ask.prompt)
    if wanted.blocked:
        return Answer(speaker.id, speaker.now, [], usage, blocked=True)
    choices = [_choice(ask, speaker, wanted, index) for index in range(ask.n)]
    usage.output = sum(choice.output_tokens for choice in choices)
    usage.reasoning = sum(choice.reasoning_tokens for choice in choices)
    return Answer(speaker.id, speaker.now, choices, usage)


def _choice(ask: Ask, speaker: Speaker, wanted: Marks, index: int) -> Choice:
    identity = f"{speaker.seed}|{speaker.vendor}|{ask.model}|{ask.seed}|{index}|{ask.transcript}"
    digest = hashlib.blake2b(identity.encode(), digest_size=16).digest()
    draw = random.Random(int.from_bytes(digest))  # noqa: S311 - reproducible answers, not secrets
    choice = Choice()
    _think(ask, choice, draw)
    calls = [] if wanted.refusal or wanted.filtered else _calls(ask, wanted, speaker, draw, index)
    if calls:
        choice.calls = calls
        choice.finish = "broken_tool" if wanted.broken_call else "tool"
        return choice
    choice.text = _text(ask, wanted, speaker, draw)
    if wanted.refusal:
        choice.finish = "refusal"
    elif wanted.filtered:
        choice.text, choice.finish = tokens.shortened(choice.text, 8), "filter"
    elif wanted.pause:
        choice.finish = "pause"
    _limit(ask, choice)
    return choice


def _think(ask: Ask, choice: Choice, draw: random.Random) -> None:
    if ask.thinking is None or ask.thinking.tokens <= 0:
        return
    room = ask.thinking.tokens
    if ask.max_tokens is not None:
        room = min(room, ask.max_tokens if ask.thinking.asked else ask.max_tokens // 2)
    text = " ".join(THOUGHTS[: 1 + draw.randrange(len(THOUGHTS))])
    while tokens.count(text) < room:
        text += " " + draw.choice(THOUGHTS)
    choice.reasoning = tokens.shortened(text, room)
    choice.reasoning_tokens = room


def _text(ask: Ask, wanted: Marks, speaker: Speaker, draw: random.Random) -> str:
    if wanted.refusal:
        return "I cannot help with that."
    if wanted.echo:
        return orjson.dumps(echo(ask)).decode()
    if ask.schema is not None:
        return orjson.dumps(value_of(ask.schema, draw)).decode()
    if ask.json_object:
        return orjson.dumps({"answer": draw.choice(SENTENCES), "model": ask.model}).decode()
    if (known := recited(ask, speaker.vendor)) is not None:
        return known
    start = draw.randrange(len(SENTENCES))
    chosen = [SENTENCES[(start + 5 * i) % len(SENTENCES)] for i in range(3 + draw.randrange(4))]
    text = " ".join([*_opening(ask, speaker), *chosen])
    if wanted.words is None:
        return text
    words = text.split()
    return " ".join(words[i % len(words)] for i in range(wanted.words))


def _opening(ask: Ask, speaker: Speaker) -> list[str]:
    if ask.results:
        told = "; ".join(
            f"{each.name}{' failed with' if each.failed else ''}: {each.text}" for each in ask.results
        )
        found = [f"The tool says {told}."]
    else:
        found = [f"This is {ask.model} of {speaker.vendor} speaking."]
    if ask.system:
        found.append(f'I was told: "{ask.system[:200]}"')
    turns = sum(1 for turn in ask.turns if turn.role == "user" and turn.text)
    if turns > 1:
        found.append(f"This is turn {turns} of our conversation.")
    if ask.images:
        found.append(f"I see {', and '.join(image.described() for image in ask.images)}.")
    return found


def _limit(ask: Ask, choice: Choice) -> None:
    places = [(choice.text.find(stop), stop) for stop in ask.stop if stop and stop in choice.text]
    if places and choice.finish in ("stop", "pause"):
        place, choice.stop_sequence = min(places)
        choice.text, choice.finish = choice.text[:place], "stop_sequence"
    room = ask.context_window - ask.input_tokens
    limit, reason = room, "window"
    if ask.max_tokens is not None and (ask.max_tokens <= room or not ask.cuts_at_window):
        limit, reason = ask.max_tokens, "length"
    limit -= choice.reasoning_tokens
    if tokens.count(choice.text) > limit:
        choice.text, choice.finish, choice.stop_sequence = tokens.shortened(choice.text, limit), reason, None


def _calls(ask: Ask, wanted: Marks, speaker: Speaker, draw: random.Random, index: int) -> list[Call]:
    return [
        Call(f"{speaker.id[:18]}{index}{position}", tool.name, _arguments(tool, draw), wanted.broken_call)
        for position, tool in enumerate(_chosen(ask))
    ]


def _chosen(ask: Ask) -> list[Tool]:
    if not ask.tools or ask.forbid_tools:
        return []
    named = [tool for tool in ask.tools if tool.name.lower() in ask.prompt.lower()]
    if ask.force_tool == "*":
        found = named or ask.tools[:1]
    elif ask.force_tool is not None:
        found = [tool for tool in ask.tools if tool.name == ask.force_tool]
    else:
        found = [] if ask.results else named
    return found if ask.parallel else found[:1]


def _arguments(tool: Tool, draw: random.Random) -> dict[str, Any]:
    found = value_of(tool.schema, draw)
    return found if isinstance(found, dict) else {}


def echo(ask: Ask) -> dict[str, Any]:
    """All that the model was given, for tests that ask what survives a translation."""
    return {
        "model": ask.model,
        "system": ask.system,
        "turns": [_turn(turn) for turn in ask.turns],
        "tools": [{"name": tool.name, "schema": tool.schema} for tool in ask.tools],
        "force_tool": ask.force_tool,
        "forbid_tools": ask.forbid_tools,
        "parallel": ask.parallel,
        "schema": ask.schema,
        "json_object": ask.json_object,
        "max_tokens": ask.max_tokens,
        "stop": ask.stop,
        "seed": ask.seed,
        "n": ask.n,
        "logprobs": ask.logprobs,
        "thinking_tokens": None if ask.thinking is None else ask.thinking.tokens,
        "settings": ask.settings,
    }


def _turn(turn: Turn) -> dict[str, Any]:
    return {"role": turn.role, "parts": [_part(part) for part in turn.parts]}


def _part(part: Part) -> Any:
    match part:
        case str():
            return part
        case Call():
            return {"call": part.name, "id": part.id, "arguments": part.arguments}
        case Result():
            return {"result": part.text, "id": part.call_id, "failed": part.failed}
        case _:
            return {"image": part.described()}


def logprob(token: str) -> float:
    """A log probability between -2 and 0 that depends on the token alone."""
    return -(int.from_bytes(hashlib.blake2b(token.encode(), digest_size=2).digest()) % 2000) / 1000
