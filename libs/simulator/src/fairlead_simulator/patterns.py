"""A text that matches a regular expression, found by walking the parsed expression."""

import random
import re
from re import _constants as codes  # type: ignore[attr-defined]  # the parser is the only one that knows the dialect
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

LETTERS = "abcdefghijklmnopqrstuvwxyz"
CLASSES = {"CATEGORY_DIGIT": "0123456789", "CATEGORY_SPACE": " ", "CATEGORY_WORD": LETTERS}


def matching(pattern: str, draw: random.Random) -> str | None:
    """A text for ``pattern``, or None when it uses what cannot be walked (look-around, back references)."""
    try:
        text = "".join(_text(node, draw) for node in parser.parse(pattern))
    except (re.error, KeyError, IndexError):
        return None
    return text if re.search(pattern, text) else None


def _text(node: tuple[Any, Any], draw: random.Random) -> str:
    code, value = node
    if code is codes.LITERAL:
        return chr(value)
    if code is codes.IN:
        return draw.choice(_characters(value))
    if code is codes.ANY:
        return draw.choice(LETTERS)
    if code is codes.NOT_LITERAL:
        return next(each for each in LETTERS if each != chr(value))
    if code is codes.AT:
        return ""
    if code in (codes.MAX_REPEAT, codes.MIN_REPEAT):
        low, high, inner = value
        times = draw.randint(low, min(int(high), low + 4))
        return "".join(_text(each, draw) for _ in range(times) for each in inner)
    if code is codes.SUBPATTERN:
        return "".join(_text(each, draw) for each in value[-1])
    if code is codes.BRANCH:
        return "".join(_text(each, draw) for each in draw.choice(value[1]))
    raise KeyError(code)


def _characters(items: list[tuple[Any, Any]]) -> str:
    found = ""
    for code, value in items:
        if code is codes.LITERAL:
            found += chr(value)
        elif code is codes.RANGE:
            found += "".join(chr(each) for each in range(value[0], value[1] + 1))
        elif code is codes.CATEGORY:
            found += CLASSES[value.name]
        elif code is not codes.NEGATE:
            raise KeyError(code)
    if items[0][0] is codes.NEGATE:
        return "".join(each for each in LETTERS + "0123456789" if each not in found)
    return found
