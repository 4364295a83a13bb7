"""The conditions of a routing rule: when it applies, and which candidates it allows. A small fixed vocabulary.

==================  =======================  ==========================================================
key                 value                    meaning
==================  =======================  ==========================================================
models              list of globs            the rule applies when the requested model matches one
stream              true / false             the rule applies to streamed (or only to other) requests
needs               list of capabilities     the rule applies when the request uses all of them
min_input_tokens    whole number             the rule applies from this estimate on
max_input_tokens    whole number             the rule applies up to this estimate
metadata            object of strings        the rule applies when all of these match the request's
providers           list of providers        only these are candidates
exclude_providers   list of providers        these are no candidates
max_cost_usd        number                   candidates whose estimated cost is known and higher are out
max_latency_ms      number                   candidates whose measured median is known and higher are out
min_quality         0 to 1                   candidates whose quality is known and lower are out
weights             object of numbers        latency, cost, quality, reliability: for ``balanced``
==================  =======================  ==========================================================

A fact that is unknown excludes nobody: a rule cannot judge what was not measured, and ``explain`` says so.
"""

import difflib
import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fairlead_common.decisions.plan import RouteRequest

WEIGHTS = ("latency", "cost", "quality", "reliability")
DEFAULT_WEIGHTS = {"latency": 0.3, "cost": 0.3, "quality": 0.3, "reliability": 0.1}


class ConditionError(ValueError):
    """A condition that cannot be used; names the key, what was expected, and what may have been meant."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """Checked conditions; see the table above."""

    models: tuple[str, ...] = ()
    stream: bool | None = None
    needs: frozenset[str] = frozenset()
    min_input_tokens: int | None = None
    max_input_tokens: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    providers: frozenset[str] = frozenset()
    exclude_providers: frozenset[str] = frozenset()
    max_cost_usd: float | None = None
    max_latency_ms: float | None = None
    min_quality: float | None = None
    weights: Mapping[str, float] = field(default_factory=lambda: DEFAULT_WEIGHTS)


KEYS = tuple(Conditions.__dataclass_fields__)


def compile_conditions(raw: Mapping[str, Any]) -> Conditions:
    """Check and convert.

    Raises:
        ConditionError: unknown key or unusable value.
    """
    values: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else f"; known are {', '.join(KEYS)}"
            raise ConditionError(f"conditions.{key} is not a condition{hint}")
        values[key] = _CHECKS[key](key, value)
    found = Conditions(**values)
    low, high = found.min_input_tokens, found.max_input_tokens
    if low is not None and high is not None and low > high:
        raise ConditionError("min_input_tokens is greater than max_input_tokens; the rule could never apply")
    return found


def _words(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(each, str) and each for each in value):
        raise ConditionError(f"conditions.{key} must be a list of at least one string")
    return tuple(value)


def _set(key: str, value: Any) -> frozenset[str]:
    return frozenset(_words(key, value))


def _flag(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ConditionError(f"conditions.{key} must be true or false")
    return value


def _number(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ConditionError(f"conditions.{key} must be a number of at least 0")
    return value


def _whole(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConditionError(f"conditions.{key} must be a whole number of at least 0")
    return value


def _share(key: str, value: Any) -> float:
    found = _number(key, value)
    if found > 1:
        raise ConditionError(f"conditions.{key} must be a number from 0 to 1")
    return found


def _strings(key: str, value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(
        isinstance(each, str) for pair in value.items() for each in pair
    ):
        raise ConditionError(f"conditions.{key} must be an object of strings")
    return value


def _weights(key: str, value: Any) -> Mapping[str, float]:
    if not isinstance(value, dict) or not value or set(value) - set(WEIGHTS):
        raise ConditionError(f"conditions.{key} must be an object with some of {', '.join(WEIGHTS)}")
    found = {name: _number(f"{key}.{name}", each) for name, each in value.items()}
    if sum(found.values()) <= 0:
        raise ConditionError(f"conditions.{key} must have at least one weight above 0")
    return found


_CHECKS = {
    "models": _words,
    "stream": _flag,
    "needs": _set,
    "min_input_tokens": _whole,
    "max_input_tokens": _whole,
    "metadata": _strings,
    "providers": _set,
    "exclude_providers": _set,
    "max_cost_usd": _number,
    "max_latency_ms": _number,
    "min_quality": _share,
    "weights": _weights,
}


def matches(conditions: Conditions, request: RouteRequest) -> bool:
    """Whether a rule with these conditions applies to ``request``."""
    low, high = conditions.min_input_tokens, conditions.max_input_tokens
    return (
        (
            not conditions.models
            or any(fnmatch.fnmatchcase(request.requested_model, each) for each in conditions.models)
        )
        and (conditions.stream is None or conditions.stream == request.stream)
        and conditions.needs <= request.needs
        and (low is None or request.input_tokens >= low)
        and (high is None or request.input_tokens <= high)
        and all(request.metadata.get(name) == value for name, value in conditions.metadata.items())
    )
