"""What every row of the matrix is made of."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anthropic
import openai

from tests.sdk.samples import PNG

ALONE = {"x-fairlead-failover": "off"}
PICTURE = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"


@dataclass
class Seen:
    """What the SDK made of one answer, whole or streamed."""

    text: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    """(name, arguments) of each tool call."""
    finish: str | None = None
    usage: Any = None
    reasoning: str = ""
    refusal: str = ""
    logprobs: bool = False
    choices: int = 0
    warnings: str = ""


@dataclass(frozen=True)
class Clients:
    """The official SDKs, pointed at the edge."""

    openai: openai.AsyncOpenAI
    anthropic: anthropic.AsyncAnthropic


Check = Callable[[Seen], bool]


@dataclass(frozen=True)
class Feature:
    """One row: what is asked, and how one sees that it was honoured."""

    name: str
    body: dict[str, Any]
    check: Check
    params: tuple[str, ...] = ()
    """Parameters a warning may name instead; without one, nothing may be missing."""


def user(content: Any) -> dict[str, Any]:
    """A turn of the user."""
    return {"role": "user", "content": content}


HELLO = [user("How do I compare providers?")]
SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "integer"}},
    "required": ["score"],
    "additionalProperties": False,
}
