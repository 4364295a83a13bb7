"""What a strategy of somebody else must be like: total, finite, from 0 to 1, and the same for the same candidate."""

import math
import re
from collections.abc import Iterator
from typing import Any, Final

from fairlead_common.decisions.conditions import Conditions
from fairlead_common.decisions.plan import RouteRequest
from fairlead_common.decisions.strategies import SCORES, Score
from fairlead_common.decisions.targets import Candidate, Entrant, Target

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
TARGET: Final = Target("provider", "model")
CANDIDATES: Final = (
    Candidate(TARGET, True),
    Candidate(TARGET, True, frozenset(), 1000, 100, 0.0, 0.0, 0.0, 0.0),
    Candidate(TARGET, True, frozenset(("tools",)), 10**6, 10**5, 1e-6, 5e-6, 0.9, 1e-7),
    Candidate(TARGET, True, None, None, None, 1e3, 1e3, 1.0),
)
REQUESTS: Final = (
    RouteRequest("model"),
    RouteRequest("model", stream=True, input_tokens=100, max_output_tokens=50),
    RouteRequest("model", needs=frozenset(("tools",)), input_tokens=10**9, metadata={"a": "b"}),
)


def problem_of(name: str, score: Any) -> str | None:
    """Why it cannot be used as the strategy ``name``, or None."""
    if not NAME.fullmatch(name):
        return "its name must be lower-case letters, digits and _, beginning with a letter, at most 40 characters"
    if name in SCORES:
        return "there is a built-in strategy of this name"
    if not callable(score):
        return "it must be a function (Entrant, RouteRequest, Conditions) -> float"
    for entrant in _entrants():
        for request in REQUESTS:
            try:
                one, other = (score(entrant, request, Conditions()) for _ in range(2))
            except Exception as error:  # noqa: BLE001 - whatever somebody else's function does
                return f"it fails with {type(error).__name__}: {error}, for {entrant} and {request}"
            if isinstance(one, bool) or not isinstance(one, int | float) or not 0 <= one <= 1:
                return f"it gives {one!r}, not a number from 0 to 1, for {entrant} and {request}"
            if one != other:
                return f"it gives {one!r} and then {other!r} for the same {entrant} and {request}"
    return None


def safe(score: Score) -> Score:
    """The same, and 0 where it fails or gives no number: a request must not fail for it."""

    def found(entrant: Entrant, request: RouteRequest, conditions: Conditions) -> float:
        try:
            value = float(score(entrant, request, conditions))
        except Exception:  # noqa: BLE001 - whatever somebody else's function does
            return 0.0
        return value if math.isfinite(value) else 0.0

    return found


def _entrants() -> Iterator[Entrant]:
    for candidate in CANDIDATES:
        yield Entrant(candidate, 0, 1.0, None, None, None, 1.0, 0.5, 0.5, 0)
        yield Entrant(candidate, 3, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1)
        yield Entrant(candidate, 1, 2.5, 6e4, 2e4, 1.0, 0.97, 0.0, 0.0, 10**6)
