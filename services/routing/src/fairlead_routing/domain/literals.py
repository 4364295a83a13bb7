"""Which facts an expression speaks of, and which literals it holds against each of them.

Comparisons, ``in``, and the questions after strings and hours are read by their form; when nothing but ``!``, ``&&``,
``||`` and brackets is left, the literals say all that can matter (``exact``). Else every literal may matter to every
fact of its type, and more may.
"""

import ast
import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from fairlead_common.decisions.expressions import VOCABULARY

Literal = str | int | float | bool


MAX_JOINED: Final = 12
ESCAPED: Final = 0xE000
"""Escaped characters are moved here while a pattern is worked on."""


class Place(NamedTuple):
    """A fact, or one entry of it: ``key`` is a key of a map, or an element of ``request.needs``."""

    fact: str
    key: str | None = None


@dataclass(slots=True)
class Read:
    """What was read."""

    literals: dict[Place, set[Literal]] = field(default_factory=dict)
    zones: set[str] = field(default_factory=set)
    """Time zones in which hours and weekdays are asked for."""
    exact: bool = True

    def add(self, place: Place, *values: Literal) -> None:
        """The expression holds these against the place."""
        self.literals.setdefault(place, set()).update(values)

    def ask(self, place: Place, examples: tuple[str, ...]) -> None:
        """A question is put to the place; the examples answer it, alone or behind and before those of other questions."""
        known = [each for each in self.literals.get(place, ()) if isinstance(each, str)][:MAX_JOINED]
        self.add(
            place, *examples, *(one + other for each in known for one, other in _orders(each, examples[0]))
        )


def _orders(one: str, other: str) -> tuple[tuple[str, str], ...]:
    return (one, other), (other, one)


_TEXT: Final = re.compile(r"""[rR]?(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")|//[^\n]*""")
_FACT: Final = "|".join(re.escape(name) for name in sorted(VOCABULARY, key=len, reverse=True))
_PLACE: Final = rf'(?<![\w.])(?P<fact>{_FACT})(?![\w])(?:\s*\[\s*"(?P<key>\d+)"\s*\])?'
_LITERAL: Final = r'(?:"\d+"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])|true\b|false\b)'
_SIGN: Final = r"(?:[<>]=?|[=!]=)"
_HOURS: Final = re.compile(
    rf'(?<![\w.])now\s*\.\s*get(?:Hours|DayOfWeek)\s*\(\s*(?:"(\d+)")?\s*\)\s*(?:{_SIGN}\s*\d+|in\s*\[[\d\s,]*\])'
)
_INSIDE: Final = re.compile(rf'"(?P<element>\d+)"\s*in\s+(?P<fact>{_FACT})(?![\w.])')
_AMONG: Final = re.compile(rf"{_PLACE}\s*in\s*\[(?P<list>\s*{_LITERAL}(?:\s*,\s*{_LITERAL})*\s*)\]")
_COMPARED: Final = re.compile(rf"{_PLACE}\s*{_SIGN}\s*(?P<literal>{_LITERAL})")
_REVERSED: Final = re.compile(rf"(?P<literal>{_LITERAL})\s*{_SIGN}\s*{_PLACE}(?!\s*[.\[(])")
_ASKED: Final = re.compile(
    rf'{_PLACE}\s*\.\s*(?P<method>startsWith|endsWith|contains|matches)\s*\(\s*"(?P<text>\d+)"\s*\)'
)
_BARE: Final = re.compile(rf"{_PLACE}(?!\s*[.\[(])")
_REST: Final = re.compile(r"(?:[\s()!§]|&&|\|\||\btrue\b|\bfalse\b)*")
_NUMBER: Final = re.compile(r"(?<![\w.\"])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.\"])")
_FIELD: Final = re.compile(rf"(?<![\w.])(?P<fact>{_FACT})\s*\.\s*(?P<key>[A-Za-z_]\w*)\b(?!\s*\()")


def read(text: str) -> Read:
    """Read one expression that was checked before."""
    texts: list[str] = []

    def number(match: re.Match[str]) -> str:
        if match[0].startswith("//"):
            return " "
        texts.append(_value(match[0]))
        return f'"{len(texts) - 1}"'

    plain, found = _TEXT.sub(number, text), Read()
    rest = plain
    for pattern in (_HOURS, _INSIDE, _AMONG, _COMPARED, _REVERSED, _ASKED, _BARE):
        for match in pattern.finditer(rest):
            _note(found, pattern, match, texts)
        rest = pattern.sub("§", rest)
    if not _REST.fullmatch(rest):
        found.exact = False
        _pool(found, plain, texts)
    return found


def _note(found: Read, pattern: re.Pattern[str], match: re.Match[str], texts: list[str]) -> None:
    if pattern is _HOURS:
        found.zones.add(texts[int(match[1])] if match[1] is not None else "UTC")
        found.add(Place("now"))
        return
    groups = match.groupdict()
    if pattern is _INSIDE:
        found.add(Place(groups["fact"], texts[int(groups["element"])]))
        return
    key = groups["key"]
    place = Place(groups["fact"], None if key is None else texts[int(key)])
    if pattern is _ASKED:
        found.exact = False
        found.ask(place, _examples(groups["method"], texts[int(groups["text"])]))
    elif pattern is _AMONG:
        found.add(place, *(_literal(each, texts) for each in re.findall(_LITERAL, groups["list"])))
    elif pattern is _BARE:
        found.add(place)
    else:
        found.add(place, _literal(groups["literal"], texts))


def _examples(method: str, text: str) -> tuple[str, ...]:
    """Strings of which one makes the question true (of a pattern: mostly)."""
    match method:
        case "startsWith":
            return (text, f"{text}x")
        case "endsWith":
            return (text, f"x{text}")
        case "contains":
            return (text, f"x{text}x")
        case _:
            return (_matched_by(text),)


def _matched_by(pattern: str) -> str:
    """A string that a plain pattern matches: no alternatives, no groups."""
    found = re.sub(r"^(?:\(\?[a-z]+\))?\^?|\$$", "", pattern)
    found = re.sub(r"\\([!-~])", lambda escaped: chr(ord(escaped[1]) + ESCAPED), found)
    found = re.sub(r"\[\^?([^\]])[^\]]*\]", r"\1", re.sub(r"\.[*+?]?", "x", found))
    found = re.sub(r"[*+?()]", "", found)
    return "".join(chr(ord(each) - ESCAPED) if 0 <= ord(each) - ESCAPED < 128 else each for each in found)


def _pool(found: Read, plain: str, texts: list[str]) -> None:
    """Whatever the expression does with them, these facts and literals are in it."""
    numbers = [_literal(each, texts) for each in _NUMBER.findall(plain)]
    for match in _FIELD.finditer(plain):
        if "MAP" in VOCABULARY[match["fact"]].type.name():
            found.add(Place(match["fact"], match["key"]))
    for match in re.finditer(rf"(?<![\w.])(?:{_FACT})(?![\w])", plain):
        found.literals.setdefault(Place(match[0]), set())
    for place, literals in found.literals.items():
        literals.update(texts if _is_text(place) else numbers)


def _is_text(place: Place) -> bool:
    kind = VOCABULARY[place.fact].type.name()
    return kind == "STRING" or place.fact in ("request.metadata", "request.headers", "health")


def _literal(text: str, texts: list[str]) -> Literal:
    if text.startswith('"'):
        return texts[int(text.strip('"'))]
    if text in ("true", "false"):
        return text == "true"
    return float(text) if set(text) & set(".eE") else int(text)


def _value(text: str) -> str:
    """A CEL string; its escapes are Python's, but for a few that no fact holds."""
    try:
        return str(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return text.lstrip("rR")[1:-1]
