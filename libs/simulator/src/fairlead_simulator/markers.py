"""Phrases in the last user turn that make the model behave in a way a prompt alone cannot be relied on to cause.

| phrase | effect |
|---|---|
| ``simulate a refusal`` | the model declines, in the vendor's way |
| ``simulate a content filter`` | the answer breaks off because a filter stepped in |
| ``simulate a blocked prompt`` | the prompt itself is refused by a filter |
| ``simulate a pause`` | a long turn is paused (Anthropic's ``pause_turn``; elsewhere an ordinary stop) |
| ``simulate a broken tool call`` | the arguments of a tool call are not valid JSON |
| ``simulate an echo`` | the answer is a JSON object with everything the model was given |
| ``simulate 250 words`` | the answer has that many words |
| ``simulate counting to 90`` | every model says the same numbers, and goes on with begun ones; see ``reciting`` |
"""

import re
from dataclasses import dataclass

WORDS = re.compile(r"simulate (\d{1,6}) words")


@dataclass(frozen=True)
class Marks:
    """What the prompt asks for."""

    refusal: bool = False
    filtered: bool = False
    blocked: bool = False
    pause: bool = False
    broken_call: bool = False
    echo: bool = False
    words: int | None = None


NONE = Marks()


def marks(prompt: str) -> Marks:
    """The phrases in ``prompt``; upper and lower case are alike."""
    text = prompt.lower()
    if "simulate" not in text:
        return NONE
    words = WORDS.search(text)
    return Marks(
        refusal="simulate a refusal" in text,
        filtered="simulate a content filter" in text,
        blocked="simulate a blocked prompt" in text,
        pause="simulate a pause" in text,
        broken_call="simulate a broken tool call" in text,
        echo="simulate an echo" in text,
        words=int(words[1]) if words else None,
    )
