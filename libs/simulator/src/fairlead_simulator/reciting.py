"""A text that every simulated model knows by heart, so that a test sees whether one goes on where another broke off."""

import re

from fairlead_simulator.ask import Ask

ASKED = re.compile(r"simulate counting to (\d{1,5})", re.IGNORECASE)
LINE = 10
"""So many numbers are on a line."""
REPEATING_VENDORS = frozenset(("mistral",))
"""Their answers begin with the prefix that they were given."""


def counting(to: int) -> str:
    """The numbers from 1 on."""
    lines = [range(first, min(first + LINE, to + 1)) for first in range(1, to + 1, LINE)]
    return ",\n".join(", ".join(map(str, numbers)) for numbers in lines) + "."


def recited(ask: Ask, vendor: str) -> str | None:
    """The numbers that a user of the conversation asked for, or what is missing of them; None when nobody did.

    A begun answer as the last turn is gone on with. A user who quotes its end on a line of its own gets it from there.
    """
    found = next((m for turn in ask.turns if turn.role == "user" and (m := ASKED.search(turn.text))), None)
    if found is None:
        return None
    text = counting(int(found[1]))
    begun = next((turn.text for turn in reversed(ask.turns) if turn.role == "assistant"), "")
    if not begun or not text.startswith(begun):
        return text
    if ask.turns[-1].role == "assistant":
        return text[0 if vendor in REPEATING_VENDORS else len(begun) :]
    quoted = ask.prompt.partition("\n")[2]
    return text[len(begun) - len(quoted) :] if quoted and begun.endswith(quoted) else text
