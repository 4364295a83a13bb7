"""Can a condition ever be true, and can it be true while none of some others is? Answered by looking for a witness.

Each fact takes its boundary values: of what the conditions hold against it the value itself, its neighbours, and one
that is none of them. When the conditions are read exactly and all combinations were tried, the answer is certain;
otherwise it is only that none of so many tried combinations was a witness.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from fairlead_common.decisions.expressions import VOCABULARY, Expression, evaluate
from fairlead_common.decisions.tasks import PATTERNS

from fairlead_routing.domain.literals import Literal, Place, Read, read

MAX_TRIALS: Final = 2048
WEEK: Final = tuple(datetime(2026, 1, 5, 0, 30, tzinfo=UTC) + timedelta(hours=hour) for hour in range(168))
STATUSES: Final = ("healthy", "degraded", "down", "unknown", "maintenance")
WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "health": STATUSES,
    "request.response_format": ("text", "json_object", "json_schema"),
    "request.task": (*sorted({task for task, _, _ in PATTERNS}), "chat", "unknown"),
}
"""Facts that take no other values."""
SHARES: Final = ("error_rate", "quality", "headroom", "budget.remaining_share")
OTHER: Final = "\x7fother"
ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class Search:
    """What came of it."""

    witness: Mapping[str, Any] | None
    """Facts that make the condition true, and none of the others; None = there were none."""
    tried: int
    certain: bool
    """All combinations that can matter were tried."""


def search(
    wanted: Expression | None, others: Sequence[Expression | None] = (), trials: int = MAX_TRIALS
) -> Search:
    """Look for facts with which ``wanted`` is true and no one of ``others`` is. None = always true."""
    if any(other is None for other in others):
        return Search(None, 0, certain=True)
    expressions = [each for each in (wanted, *others) if each is not None]
    values, exact = _values(read(each.text) for each in expressions)
    size = math.prod(len(each) for each in values.values())
    names = frozenset().union(*(each.facts for each in expressions))
    tried = 0
    for combination in _combinations(list(values.values()), size, trials):
        facts = _facts(names, dict(zip(values, combination, strict=True)))
        tried += 1
        if _holds(wanted, facts) and not any(_holds(other, facts) for other in others):
            return Search(facts, tried, certain=True)
    return Search(None, tried, exact and tried == size)


def _holds(expression: Expression | None, facts: Mapping[str, Any]) -> bool:
    return expression is None or evaluate(expression, facts).true


def _values(reads: Iterable[Read]) -> tuple[dict[Place, Sequence[Any]], bool]:
    """(the values of each place, whether they are all that can matter)."""
    literals: dict[Place, set[Literal]] = {}
    zones: set[str] = set()
    exact = True
    for each in reads:
        exact = exact and each.exact
        zones |= each.zones
        for place, found in each.literals.items():
            literals.setdefault(place, set()).update(found)
    values = {place: _values_of(place, found) for place, found in sorted(literals.items(), key=str)}
    return values, exact and len(zones) < 2


def _values_of(place: Place, literals: set[Literal]) -> Sequence[Any]:
    kind = VOCABULARY[place.fact].type.name()
    if place.fact == "now":
        return WEEK
    if place.fact == "request.needs":
        return (False, True) if place.key is not None else (False,)
    if kind == "BOOL":
        return (False, True)
    if kind == "STRING":
        return _words(place.fact, literals)
    if kind == "INT":
        return _whole(literals)
    if kind == "DOUBLE":
        return _numbers(literals, 1.0 if place.fact in SHARES else math.inf)
    if place.key is None:
        return (ABSENT,)
    if place.fact == "in_flight":
        return (ABSENT, *_whole(literals))
    if place.fact in ("health", "request.metadata", "request.headers"):
        return (ABSENT, *_words(place.fact, literals))
    return (ABSENT, *_numbers(literals, 1.0 if place.fact in SHARES else math.inf))


def _words(fact: str, literals: set[Literal]) -> Sequence[str]:
    if fact in WORDS:
        return WORDS[fact]
    return (*sorted(each for each in literals if isinstance(each, str)), OTHER)


def _whole(literals: set[Literal]) -> Sequence[int]:
    numbers = [int(each) for each in literals if isinstance(each, int | float) and abs(each) < 2**62]
    found = {0, *(number + step for number in numbers for step in (-1, 0, 1))}
    return sorted(number for number in found if number >= 0)


def _numbers(literals: set[Literal], most: float) -> Sequence[float]:
    """The literals, one between each two neighbours, and one beyond either end."""
    known = sorted({0.0, *(float(each) for each in literals if isinstance(each, int | float))})
    between = [(low + high) / 2 for low, high in pairwise(known)]
    beyond = [known[-1] + 1, *([most] if most < math.inf else [])]
    return sorted({each for each in (*known, *between, *beyond) if 0 <= each <= most})


def _combinations(values: Sequence[Sequence[Any]], size: int, trials: int) -> Iterator[tuple[Any, ...]]:
    """All of them, or ``trials`` that are spread evenly."""
    count = min(size, trials)
    step = _coprime(size) if size > count else 1
    for i in range(count):
        rest, found = (i * step) % size, []
        for each in values:
            rest, position = divmod(rest, len(each))
            found.append(each[position])
        yield tuple(found)


def _coprime(size: int) -> int:
    """A step near the golden section of ``size`` that reaches all of it."""
    step = int(size * 0.618) | 1
    while math.gcd(step, size) > 1:
        step += 2
    return step


def _facts(names: Iterable[str], given: Mapping[Place, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {name: _empty(name) for name in names}
    for place, value in given.items():
        if place.fact not in found or value is ABSENT:
            continue
        if place.fact == "request.needs":
            if value:
                found[place.fact].append(place.key)
        elif place.key is not None:
            found[place.fact][place.key] = value
        else:
            found[place.fact] = value
    return found


def _empty(name: str) -> Any:
    """The value of a fact of which nothing is said."""
    match VOCABULARY[name].type.name():
        case "BOOL":
            return False
        case "INT":
            return 0
        case "DOUBLE":
            return 0.0
        case "STRING":
            return ""
        case kind:
            return WEEK[0] if name == "now" else [] if "LIST" in kind.upper() else {}
