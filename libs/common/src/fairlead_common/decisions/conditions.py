"""The conditions of a routing rule: when it applies, whom it may choose, and how. One checked object from one JSON object.

When the rule applies (all that are given must hold; without any, always):

==================  =======================  ==========================================================
key                 value                    meaning
==================  =======================  ==========================================================
when                CEL expression           see ``fairlead_common.decisions.expressions``
models              list of globs            the requested model matches one
stream              true / false             the request is (or is not) streamed
needs               list of capabilities     the request uses all of them
min_input_tokens    whole number             the estimate is at least this
max_input_tokens    whole number             the estimate is at most this
metadata            object of strings        all of these are in the request's metadata
==================  =======================  ==========================================================

Whom it may choose:

==================  =======================  ==========================================================
targets             list, see below          instead of what the caller named: provider/model, class:..., names
providers           list of providers        only these
exclude_providers   list of providers        not these
regions             list of regions          only providers of these regions
max_cost_usd        number                   not when the estimated cost of the call is known and higher
max_usd_per_mtok    number                   not when the output price is known and higher
max_latency_ms      number                   not when the measured median is known and higher
max_ttft_ms         number                   not when the measured median time to first token is known and higher
min_quality         0 to 1                   not when the quality is known and lower
==================  =======================  ==========================================================

How it chooses, beside the rule's strategy:

==================  =======================  ==========================================================
weights             object of numbers        latency, cost, quality, reliability: for ``balanced``
spread              0 to 0.5                 scores this close to the best share the traffic
sticky              word                     user, conversation, or metadata.<key>: the same key, the same choice;
                                             prompt_cache: as conversation, and what a target has cached of it counts
                                             in its cost
explore             0 to 0.05                share of requests that go where the estimates are least sure
==================  =======================  ==========================================================

``targets`` is a list of names, or of objects ``{"target": "openai/gpt-5.4", "weight": 3}`` (for ``weighted``).
A fact that is unknown excludes nobody: a rule cannot judge what was not measured, and ``explain`` says so.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from fairlead_common.decisions.expressions import Expression, ExpressionError, parse

WEIGHTS: Final = ("latency", "cost", "quality", "reliability")
DEFAULT_WEIGHTS: Final[Mapping[str, float]] = {
    "latency": 0.3,
    "cost": 0.3,
    "quality": 0.3,
    "reliability": 0.1,
}
MAX_EXPLORE: Final = 0.05
MAX_SPREAD: Final = 0.5
STICKY: Final = ("user", "conversation", "prompt_cache")


class ConditionError(ValueError):
    """A condition that cannot be used; names the key, what was expected, and what may have been meant."""


class Share(NamedTuple):
    """One entry of ``targets``."""

    name: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Conditions:
    """Checked conditions; see the tables above."""

    applies: Expression | None = None
    """All that says when the rule applies, as one expression; None = always."""
    parts: Mapping[str, Expression] = field(default_factory=dict)
    """The same, key by key, to explain."""
    targets: tuple[Share, ...] = ()
    providers: frozenset[str] = frozenset()
    exclude_providers: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()
    max_cost_usd: float | None = None
    max_usd_per_mtok: float | None = None
    max_latency_ms: float | None = None
    max_ttft_ms: float | None = None
    min_quality: float | None = None
    weights: Mapping[str, float] = field(default_factory=lambda: DEFAULT_WEIGHTS)
    spread: float | None = None
    """None = the strategy's own."""
    sticky: str | None = None
    explore: float = 0.0


def compile_conditions(raw: Mapping[str, Any]) -> Conditions:
    """Check and convert.

    Raises:
        ConditionError: unknown key or unusable value.
    """
    values: dict[str, Any] = {}
    texts: dict[str, str] = {}
    for key, value in raw.items():
        if key in WHEN:
            texts[key] = WHEN[key](key, value)
        elif key in _CHECKS:
            values[key] = _CHECKS[key](key, value)
        else:
            known = (*WHEN, *_CHECKS)
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else f"; known are {', '.join(known)}"
            raise ConditionError(f"conditions.{key} is not a condition{hint}")
    low, high = raw.get("min_input_tokens"), raw.get("max_input_tokens")
    if low is not None and high is not None and low > high:
        raise ConditionError("min_input_tokens is greater than max_input_tokens; the rule could never apply")
    parts = {key: _parsed(key, text) for key, text in texts.items()}
    if len(parts) == 1:
        return Conditions(next(iter(parts.values())), parts, **values)
    if parts:
        joined = _parsed("when", " && ".join(f"({text}\n)" for text in texts.values()))
        return Conditions(joined, parts, **values)
    return Conditions(**values)


def _parsed(key: str, text: str) -> Expression:
    try:
        return parse(text)
    except ExpressionError as error:
        raise ConditionError(f"conditions.{key}: {error}") from error


# when: each key becomes an expression


def _expression(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ConditionError(f"conditions.{key} must be a CEL expression, for example: request.tokens > 1000")
    return value


def _models(key: str, value: Any) -> str:
    names = _words(key, value)
    return " || ".join(_matching(name) for name in names)


def _matching(glob: str) -> str:
    """Without a regular expression where that is possible: one costs 5 us each time, the rest a tenth of one."""
    if not set("*?[") & set(glob):
        return f"request.model == {quoted(glob)}"
    if set("?[") & set(glob) or glob.count("*") > 1:
        return f"request.model.matches({quoted(_pattern(glob))})"
    start, _, end = glob.partition("*")
    tests = [f"request.model.startsWith({quoted(start)})"] if start else []
    if end:
        tests.append(f"request.model.endsWith({quoted(end)})")
    if start and end:
        tests.append(f"size(request.model) >= {len(start) + len(end)}")
    return f"({' && '.join(tests)})" if tests else "true"


def _pattern(glob: str) -> str:
    """A glob (``*``, ``?``, ``[abc]``, ``[!abc]``) as an RE2 pattern for the whole name."""
    found, i = "^", 0
    while i < len(glob):
        end = glob.find("]", i + 2) if glob[i] == "[" else -1
        if end > 0:
            inside = glob[i + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            found += f"[^{inside[1:]}]" if inside.startswith("!") else f"[{inside}]"
            i = end + 1
            continue
        found += {"*": ".*", "?": "."}.get(glob[i], f"\\{glob[i]}" if not glob[i].isalnum() else glob[i])
        i += 1
    return f"(?s){found}$"


def quoted(text: str) -> str:
    """``text`` as a CEL string."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(escapes.get(character, character) for character in text) + '"'


def _stream(key: str, value: Any) -> str:
    return "request.stream" if _flag(key, value) else "!request.stream"


def _needs(key: str, value: Any) -> str:
    return " && ".join(f"{quoted(name)} in request.needs" for name in _words(key, value))


def _at_least(key: str, value: Any) -> str:
    return f"request.tokens >= {_whole(key, value)}"


def _at_most(key: str, value: Any) -> str:
    return f"request.tokens <= {_whole(key, value)}"


def _metadata(key: str, value: Any) -> str:
    if (
        not isinstance(value, dict)
        or not value
        or not all(isinstance(each, str) for pair in value.items() for each in pair)
    ):
        raise ConditionError(f"conditions.{key} must be an object of strings")
    return " && ".join(
        f"{quoted(name)} in request.metadata && request.metadata[{quoted(name)}] == {quoted(wanted)}"
        for name, wanted in value.items()
    )


WHEN: Final[Mapping[str, Callable[[str, Any], str]]] = {
    "when": _expression,
    "models": _models,
    "stream": _stream,
    "needs": _needs,
    "min_input_tokens": _at_least,
    "max_input_tokens": _at_most,
    "metadata": _metadata,
}
"""Keys that say when the rule applies, and how each becomes an expression."""


# whom and how: each key becomes a field of Conditions


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
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise ConditionError(f"conditions.{key} must be a number of at least 0")
    return value


def _whole(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**62:
        raise ConditionError(f"conditions.{key} must be a whole number of at least 0")
    return value


def _up_to(most: float) -> Callable[[str, Any], float]:
    def check(key: str, value: Any) -> float:
        found = _number(key, value)
        if found > most:
            raise ConditionError(f"conditions.{key} must be a number from 0 to {most:g}")
        return found

    return check


def _weights(key: str, value: Any) -> Mapping[str, float]:
    if not isinstance(value, dict) or not value or set(value) - set(WEIGHTS):
        raise ConditionError(f"conditions.{key} must be an object with some of {', '.join(WEIGHTS)}")
    found = {name: _number(f"{key}.{name}", each) for name, each in value.items()}
    if sum(found.values()) <= 0:
        raise ConditionError(f"conditions.{key} must have at least one weight above 0")
    return found


def _targets(key: str, value: Any) -> tuple[Share, ...]:
    if not isinstance(value, list) or not value:
        raise ConditionError(
            f"conditions.{key} must be a list of names, or of objects with target and weight"
        )
    found = tuple(_share(f"{key}[{position}]", each) for position, each in enumerate(value))
    names = [share.name for share in found]
    for name in names:
        if names.count(name) > 1:
            raise ConditionError(f"conditions.{key} names '{name}' twice")
    if not any(share.weight > 0 for share in found):
        raise ConditionError(f"conditions.{key} must have at least one weight above 0")
    return found


def _share(where: str, value: Any) -> Share:
    if isinstance(value, str) and value:
        return Share(value)
    if (
        isinstance(value, dict)
        and isinstance(value.get("target"), str)
        and not set(value) - {"target", "weight"}
    ):
        return Share(value["target"], _number(f"{where}.weight", value.get("weight", 1.0)))
    raise ConditionError(f'conditions.{where} must be a name, or {{"target": name, "weight": number}}')


def _sticky(key: str, value: Any) -> str:
    if value in STICKY or (isinstance(value, str) and value.startswith("metadata.") and len(value) > 9):
        return str(value)
    raise ConditionError(f"conditions.{key} must be {', '.join(STICKY)} or metadata.<key>")


_CHECKS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    "targets": _targets,
    "providers": _set,
    "exclude_providers": _set,
    "regions": _set,
    "max_cost_usd": _number,
    "max_usd_per_mtok": _number,
    "max_latency_ms": _number,
    "max_ttft_ms": _number,
    "min_quality": _up_to(1),
    "weights": _weights,
    "spread": _up_to(MAX_SPREAD),
    "sticky": _sticky,
    "explore": _up_to(MAX_EXPLORE),
}
