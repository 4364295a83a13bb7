"""A request in the simulator's own form: what every vendor's reader turns its wire into."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

from fairlead_simulator import tokens
from fairlead_simulator.images import Picture, looked_at


@dataclass
class Image:
    """A picture in a turn: its bytes, or where it is."""

    media_type: str | None = None
    data: bytes | None = None
    url: str | None = None

    @property
    def picture(self) -> Picture | None:
        """What the bytes say, or None for an address or for bytes that are no picture."""
        return looked_at(self.data) if self.data is not None else None

    def described(self) -> str:
        """One line that depends on nothing but the picture."""
        if self.data is None:
            return f"an image at {self.url}"
        digest = hashlib.sha256(self.data).hexdigest()[:8]
        seen = self.picture
        if seen is None:
            return f"a file of type {self.media_type} ({len(self.data)} bytes, {digest})"
        return f"a {seen.kind} of {seen.width} x {seen.height} pixels ({len(self.data)} bytes, {digest})"

    @property
    def tokens(self) -> int:
        """What the picture costs; an address that is not looked at costs as much as a small picture."""
        seen = self.picture
        return 258 if seen is None else max(1, seen.width * seen.height // 750)


@dataclass
class Call:
    """A call of a tool. ``broken`` = its arguments are sent as text that is not JSON."""

    id: str
    name: str
    arguments: dict[str, Any]
    broken: bool = False

    @property
    def text(self) -> str:
        """The arguments as JSON text."""
        found = orjson.dumps(self.arguments).decode()
        return found[:-1] + "," if self.broken else found


@dataclass
class Result:
    """What a tool gave back."""

    call_id: str
    name: str
    text: str
    failed: bool = False


Part = str | Image | Call | Result


@dataclass
class Turn:
    """One turn of the conversation, its parts in order; neighbours of the same role may stay apart."""

    role: str
    """user, assistant, or tool."""
    parts: list[Part] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text, a line for each part."""
        return "\n".join(part for part in self.parts if isinstance(part, str) and part)

    @property
    def images(self) -> list[Image]:
        """The pictures."""
        return [part for part in self.parts if isinstance(part, Image)]

    @property
    def calls(self) -> list[Call]:
        """The calls of tools."""
        return [part for part in self.parts if isinstance(part, Call)]

    @property
    def results(self) -> list[Result]:
        """The results of tools."""
        return [part for part in self.parts if isinstance(part, Result)]


@dataclass
class Tool:
    """A function the caller offers."""

    name: str
    schema: dict[str, Any]


@dataclass
class Thinking:
    """How many tokens of thought come before the answer.

    ``asked`` = the caller chose the amount; a model that thinks by itself leaves room for an answer, one that was told
    to think may use up the whole limit. ``shown`` = the text of the thoughts is part of the answer.
    """

    tokens: int
    asked: bool = True
    shown: bool = True


@dataclass
class CacheMark:
    """A point up to which the caller wants the prompt cached: length of the transcript so far, lifetime."""

    end: int
    lifetime: str = "5m"


@dataclass
class Ask:
    """A request for a chat answer."""

    model: str
    turns: list[Turn]
    system: str = ""
    stream: bool = False
    max_tokens: int | None = None
    stop: list[str] = field(default_factory=list)
    tools: list[Tool] = field(default_factory=list)
    force_tool: str | None = None
    """Name of the tool to call, or ``*`` for any of ``tools``."""
    forbid_tools: bool = False
    parallel: bool = True
    schema: dict[str, Any] | None = None
    json_object: bool = False
    thinking: Thinking | None = None
    seed: int | None = None
    n: int = 1
    logprobs: int | None = None
    """How many alternatives to list beside each token; None = no log probabilities."""
    include_usage: bool = False
    context_window: int = 1_000_000
    cuts_at_window: bool = False
    """A full context window ends the answer; else the request has been refused before."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Sampling parameters as they came, for an echo."""
    marks: list[CacheMark] = field(default_factory=list)
    cached_from: int | None = None
    """Tokens a prefix must have to be cached without marks; None = only marks count."""

    @property
    def prompt(self) -> str:
        """Text of the last user turn."""
        return next((turn.text for turn in reversed(self.turns) if turn.role == "user" and turn.text), "")

    @property
    def results(self) -> list[Result]:
        """The results of tools that the conversation ends with; they may fill several turns."""
        found: list[Result] = []
        for turn in reversed(self.turns):
            if not turn.results:
                break
            found = turn.results + found
        return found

    @cached_property
    def transcript(self) -> str:
        """All the model reads, in order: tools, system prompt, turns."""
        return transcript(self.tools, self.system, self.turns)

    @property
    def images(self) -> list[Image]:
        """All pictures of the conversation."""
        return [image for turn in self.turns for image in turn.images]

    @cached_property
    def input_tokens(self) -> int:
        """Tokens of the prompt, cached ones included."""
        return tokens.count(self.transcript) + sum(image.tokens for image in self.images)


def transcript(tools: list[Tool], system: str, turns: list[Turn]) -> str:
    """Everything the model reads as one text; a longer conversation extends the text of a shorter one."""
    found = [orjson.dumps([tool.name, tool.schema]).decode() for tool in tools]
    if system:
        found.append(system)
    found += [_line(part) for turn in turns for part in turn.parts if part]
    return "\n".join(found)


def _line(part: Part) -> str:
    match part:
        case Image():
            return f"<{part.described()}>"
        case Call():
            return f"{part.name} {part.text}"
        case Result():
            return part.text
        case _:
            return part
