"""Conditions in CEL, the Common Expression Language: one typed vocabulary, checked when written, evaluated in microseconds.

The language is Google's own (cel-expr-python over cel-cpp): no loops without a budget, regular expressions in linear
time (RE2), errors as values. ``VOCABULARY`` is all that an expression can speak of; a name that is not in it, or a
comparison of two types, is refused with its position. An expression whose evaluation fails (a target that was never
measured has no ``p95_ms``) is not true: what is unknown matches nothing.

The rules of a table are evaluated together: one CEL list of many conditions costs about 0.16 us per condition, where
one evaluation each costs 1.6 us. Conditions that may fail are kept out of the list, as one failure would fail all.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cel_expr_python import cel

MAX_LENGTH: Final = 2000
"""Characters of one expression."""
MAX_NESTING: Final = 24
"""Brackets inside brackets; the evaluator's own limit is 32 levels of the syntax tree."""


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


def parse(text: str) -> Expression:
    """Check ``text``.

    Raises:
        ExpressionError: too long, too deep, a syntax or type error, or not a condition.
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
    plain = _TEXT.sub("''", text)
    facts = frozenset(_facts_of(plain))
    fragile = bool(_FRAGILE.search(plain)) or any(VOCABULARY[name].may_lack for name in facts)
    return Expression(text, program, facts, fragile)


def _compile(text: str) -> cel.Expression:
    try:
        return _ENVIRONMENT.compile(text)
    except RuntimeError as error:
        raise ExpressionError(_explained(str(error))) from None


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
    """Neighbouring conditions that are evaluated at once; ``start`` is the position of the first."""

    start: int
    size: int
    program: cel.Expression


class FirstMatch:
    """The conditions of a table, in the order of its rules; None = always true.

    Args:
        expressions: one for each rule.
    """

    def __init__(self, expressions: Sequence[Expression | None]) -> None:
        self._expressions = tuple(expressions)
        self.facts: frozenset[str] = frozenset().union(*(each.facts for each in expressions if each))
        """Names that must be given to ``first``."""
        self._steps: list[int | _Group] = []
        """In order: a group of sturdy conditions, or the position of a fragile or unconditional one."""
        start = 0
        while start < len(expressions):
            end = start
            while end < len(expressions) and (each := expressions[end]) is not None and not each.fragile:
                end += 1
            self._steps.append(_group(start, expressions[start:end]) if end - start > 1 else start)
            start = max(end, start + 1)

    def first(self, facts: Mapping[str, Any]) -> int | None:
        """Position of the first true condition."""
        activation = _ENVIRONMENT.Activation(facts)
        for step in self._steps:
            if isinstance(step, int):
                if self._true(step, activation):
                    return step
            elif (position := self._first_of(step, activation)) is not None:
                return position
        return None

    def _true(self, position: int, activation: cel.Activation) -> bool:
        expression = self._expressions[position]
        return expression is None or _verdict(expression.program, activation).true

    def _first_of(self, group: _Group, activation: cel.Activation) -> int | None:
        try:
            verdicts = group.program.eval(activation).plain_value()
        except RuntimeError:
            verdicts = None
        if not isinstance(verdicts, list):  # one of them failed after all: each for itself
            positions = range(group.start, group.start + group.size)
            return next((each for each in positions if self._true(each, activation)), None)
        return group.start + verdicts.index(True) if True in verdicts else None


def _group(start: int, expressions: Sequence[Expression | None]) -> _Group:
    texts = (f"({each.text}\n)" for each in expressions if each is not None)
    return _Group(start, len(expressions), _ENVIRONMENT.compile(f"[{','.join(texts)}]"))
