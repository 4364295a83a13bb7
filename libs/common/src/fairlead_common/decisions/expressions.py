"""Conditions in CEL, the Common Expression Language: one typed vocabulary, checked when written, evaluated in microseconds.

The language is Google's own (cel-expr-python over cel-cpp): no loops without a budget, regular expressions in linear
time (RE2), errors as values. ``VOCABULARY`` is all that an expression can speak of; a name that is not in it, or a
comparison of two types, is refused with its position. An expression whose evaluation fails (a target that was never
measured has no ``p95_ms``) is not true: what is unknown matches nothing.

The rules of a table are evaluated together: one CEL list of many conditions costs about 0.16 us per condition, where
one evaluation each costs 1.6 us. Conditions that may fail are kept out of the list, as one failure would fail all; they
are evaluated one by one, as far as they stand before the first true one of the list.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from zoneinfo import available_timezones

from cel_expr_python import cel

MAX_LENGTH: Final = 2000
"""Characters of one expression."""
AT_ONCE: Final = 128
"""Conditions in one list: more would be evaluated in vain when an early rule applies."""
MAX_NESTING: Final = 24
"""Brackets inside brackets; the evaluator's own limit is 32 levels of the syntax tree."""

MAX_PARSED: Final = 4096
"""Expressions that are remembered."""

ANY_TIME: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""Zones are tried on it."""


class ExpressionError(ValueError):
    """An expression that cannot be used; says what is wrong and at which character."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One name of the vocabulary."""

    name: str
    type: cel.Type
    meaning: str
    may_lack: bool = False
    """True: a map whose keys are not always there, so that asking for one may fail."""


STRING, INT, DOUBLE, BOOL = cel.Type.STRING, cel.Type.INT, cel.Type.DOUBLE, cel.Type.BOOL
TEXTS: Final = cel.Type.Map(STRING, STRING)
NUMBERS: Final = cel.Type.Map(STRING, DOUBLE)
COUNTS: Final = cel.Type.Map(STRING, INT)

VOCABULARY: Final[Mapping[str, Fact]] = {
    fact.name: fact
    for fact in (
        Fact("request.model", STRING, "the name the caller asked for"),
        Fact("request.tokens", INT, "estimated input tokens"),
        Fact("request.max_tokens", INT, "the caller's limit of output tokens; 0 = none"),
        Fact("request.stream", BOOL, "a streamed answer is wanted"),
        Fact("request.tools", BOOL, "tools are offered to the model"),
        Fact("request.images", BOOL, "there are images in the messages"),
        Fact("request.needs", cel.Type.List(STRING), "capabilities used: tools, vision, structured_output"),
        Fact("request.response_format", STRING, "text, json_object or json_schema"),
        Fact("request.task", STRING, "task class by the local classifier; 'unknown' when it cannot tell"),
        Fact("request.language", STRING, "ISO 639-1 code by the local classifier; 'und' when it cannot tell"),
        Fact("request.user", STRING, "the caller's 'user' field; empty when there is none"),
        Fact("request.workspace", INT, "id of the workspace"),
        Fact("request.metadata", TEXTS, "the caller's metadata", may_lack=True),
        Fact("request.headers", TEXTS, "headers x-..., lower case", may_lack=True),
        Fact(
            "now",
            cel.Type.TIMESTAMP,
            "the time; now.getHours('Europe/Berlin'), now.getDayOfWeek(...) 0 = Sunday",
        ),
        Fact(
            "health",
            TEXTS,
            "status by provider: healthy, degraded, down, unknown, maintenance",
            may_lack=True,
        ),
        Fact("p95_ms", NUMBERS, "measured 95th percentile of latency by target, ms", may_lack=True),
        Fact("p50_ms", NUMBERS, "measured median latency by target, ms", may_lack=True),
        Fact("ttft_ms", NUMBERS, "measured median time to first token by target, ms", may_lack=True),
        Fact("error_rate", NUMBERS, "measured share of failed calls by target, 0 to 1", may_lack=True),
        Fact("quality", NUMBERS, "quality by target, 0 to 1", may_lack=True),
        Fact("price", NUMBERS, "USD per million output tokens by target", may_lack=True),
        Fact("in_flight", COUNTS, "calls of this edge under way, by provider", may_lack=True),
        Fact(
            "headroom",
            NUMBERS,
            "share of the provider's rate limit that is left, by target, 0 to 1",
            may_lack=True,
        ),
        Fact("load", INT, "calls of this edge under way"),
        Fact(
            "budget.remaining_share",
            DOUBLE,
            "share of the workspace's budget that is left; 1 without a budget",
        ),
        Fact("budget.remaining_usd", DOUBLE, "USD that are left of it; 1e12 without a budget"),
    )
}

_ENVIRONMENT: Final = cel.NewEnv(variables={name: fact.type for name, fact in VOCABULARY.items()})
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\s*\.\s*[A-Za-z_][A-Za-z0-9_]*)*")
_TEXT: Final = re.compile(r"""[rR]?(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")""")
_MEMBER: Final = re.compile(
    rf"({_TEXT.pattern})\s+in\s+((?:request\s*\.\s*)?[a-z_0-9]+)\b(?:\s*&&\s*\2\s*\[\s*\1\s*\])?"
)
"""Asks for a key, and asks for its value only where it is there: neither can fail."""
_ZONE: Final = re.compile(rf"{_TEXT.pattern}|//[^\n]*|\bget[A-Z]\w*\s*\(\s*(?P<zone>{_TEXT.pattern})\s*\)")
"""Texts and comments are passed over, so that only the zone of a question of a time is found."""
_FRAGILE: Final = re.compile(
    r"[/%\[]|\b(?:int|uint|double|timestamp|duration|bytes)\s*\(|\bget[A-Z]\w*\s*\(\s*['\"]"
)


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked condition."""

    text: str
    program: cel.Expression
    facts: frozenset[str]
    """Names of the vocabulary that it uses."""
    fragile: bool
    """Its evaluation may fail on some requests."""


@lru_cache(maxsize=MAX_PARSED)
def parse(text: str) -> Expression:
    """Check ``text``. What was checked is remembered: a changed table has most of its conditions from the one before.

    Raises:
        ExpressionError: too long, too deep, a syntax or type error, not a condition, or a time zone nobody knows.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"the expression has {len(text)} characters; at most {MAX_LENGTH} are allowed")
    if _depth(text) > MAX_NESTING:
        raise ExpressionError(
            f"brackets are nested more than {MAX_NESTING} deep; split the rule into several"
        )
    program = _compile(text)
    kind = program.return_type()
    if kind != BOOL:
        raise ExpressionError(
            f"the expression gives {kind.name().lower()}, not a condition; compare it with something"
        )
    _check_zones(text)
    facts = frozenset(_facts_of(_TEXT.sub("''", text)))
    return Expression(text, program, facts, _is_fragile(text))


def _is_fragile(text: str) -> bool:
    plain = _TEXT.sub("''", _MEMBER.sub("true", text))
    return bool(_FRAGILE.search(plain)) or any(VOCABULARY[name].may_lack for name in _facts_of(plain))


def _compile(text: str) -> cel.Expression:
    try:
        return _ENVIRONMENT.compile(text)
    except RuntimeError as error:
        raise ExpressionError(_explained(str(error))) from None


def _check_zones(text: str) -> None:
    """A zone that is not known makes each evaluation fail: the condition would silently never be true."""
    for match in _ZONE.finditer(text):
        if (zone := match["zone"]) is None:
            continue
        asked = _ENVIRONMENT.compile(f"now.getHours({zone}) >= 0")
        if _verdict(asked, _ENVIRONMENT.Activation({"now": ANY_TIME})).error is not None:
            near = difflib.get_close_matches(zone.strip("'\""), sorted(available_timezones()), n=3)
            hint = (
                f"did you mean {', '.join(near)}?"
                if near
                else "zones are called as 'Europe/Berlin' or '+01:00'"
            )
            raise ExpressionError(
                f"at {_position(text, match.start('zone'))}: there is no time zone {zone}; {hint}"
            )


def _position(text: str, offset: int) -> str:
    line = text.count("\n", 0, offset) + 1
    column = offset - text.rfind("\n", 0, offset)
    return f"character {column}" if line == 1 else f"line {line}, character {column}"


def _explained(message: str) -> str:
    """cel-cpp's first error without its code: ``at character 9: undeclared reference to 'request.modle'``."""
    found = re.search(r"ERROR: <input>:(\d+):(\d+): ([^\n]*)", message)
    if found is None:
        return message.removeprefix("INVALID_ARGUMENT: ").split(" [")[0].strip()
    line, column, text = found.groups()
    where = f"character {column}" if line == "1" else f"line {line}, character {column}"
    text = text.replace(" (in container '')", "")
    known = f"; known are {', '.join(VOCABULARY)}" if "undeclared reference" in text else ""
    return f"at {where}: {text}{known}"


def _depth(text: str) -> int:
    deepest = depth = 0
    for character in _TEXT.sub("", text):
        if character in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]}":
            depth -= 1
    return deepest


def _facts_of(plain: str) -> set[str]:
    found = set()
    for match in _NAME.finditer(plain):
        parts = re.sub(r"\s+", "", match[0]).split(".")
        found |= {name for length in (1, 2) if (name := ".".join(parts[:length])) in VOCABULARY}
    return found


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one condition on one request."""

    true: bool
    error: str | None = None
    """Why it could not be evaluated; it is not true then."""


def evaluate(expression: Expression, facts: Mapping[str, Any]) -> Verdict:
    """Evaluate one condition. ``facts`` must hold every name it uses."""
    return _verdict(expression.program, _ENVIRONMENT.Activation(facts))


def _verdict(program: cel.Expression, activation: cel.Activation) -> Verdict:
    try:
        value = program.eval(activation)
    except RuntimeError as error:  # the evaluator's own bounds: iterations, recursion
        return Verdict(true=False, error=str(error))
    if value.type() == BOOL:
        return Verdict(bool(value.value()))
    return Verdict(true=False, error=str(value.plain_value()))


@dataclass(frozen=True, slots=True)
class _Group:
    """Sturdy conditions that are evaluated at once, and their positions, ascending."""

    positions: tuple[int, ...]
    program: cel.Expression


class FirstMatch:
    """The conditions of a table, in the order of its rules; None = always true.

    Args:
        expressions: one for each rule.
    """

    def __init__(self, expressions: Sequence[Expression | None]) -> None:
        self._last = next((n for n, each in enumerate(expressions) if each is None), None)
        """Position of the first unconditional rule: nothing behind it is ever looked at."""
        conditional = {n: each for n, each in enumerate(expressions[: self._last]) if each is not None}
        self.facts: frozenset[str] = frozenset().union(*(each.facts for each in conditional.values()))
        """Names that must be given to ``first``."""
        self._conditional = conditional
        self._fragile = tuple(n for n, each in conditional.items() if each.fragile)
        sturdy = [n for n, each in conditional.items() if not each.fragile]
        parts = (sturdy[start : start + AT_ONCE] for start in range(0, len(sturdy), AT_ONCE))
        self._groups = tuple(_group({n: conditional[n] for n in part}) for part in parts)

    def first(self, facts: Mapping[str, Any]) -> int | None:
        """Position of the first true condition."""
        activation = _ENVIRONMENT.Activation(facts)
        found = self._last
        for group in self._groups:
            if (position := self._first_of(group, activation)) is not None:
                found = position
                break
        for position in self._fragile:
            if found is not None and position > found:
                break
            if self._true(position, activation):
                return position
        return found

    def _true(self, position: int, activation: cel.Activation) -> bool:
        return _verdict(self._conditional[position].program, activation).true

    def _first_of(self, group: _Group, activation: cel.Activation) -> int | None:
        try:
            verdicts = group.program.eval(activation).plain_value()
        except RuntimeError:
            verdicts = None
        if not isinstance(verdicts, list):  # one of them failed after all: each for itself
            return next((each for each in group.positions if self._true(each, activation)), None)
        return group.positions[verdicts.index(True)] if True in verdicts else None


def _group(sturdy: Mapping[int, Expression]) -> _Group:
    texts = (f"({each.text}\n)" for each in sturdy.values())
    return _Group(tuple(sturdy), _ENVIRONMENT.compile(f"[{','.join(texts)}]"))
