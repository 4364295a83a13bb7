"""Reading alert rules: a list of rules, or everything that is wrong with them, each with its place.

Refused is also what would be accepted and do nothing: a rule that can never fire, and one for a provider that is not there.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from fairlead_common.operations.alert_rules import (
    RUNBOOKS,
    WINDOWS_S,
    AnyRule,
    BurnRateRule,
    LatencyBaselineRule,
    Problem,
)
from pydantic import TypeAdapter, ValidationError

RULE: Final[TypeAdapter[AnyRule]] = TypeAdapter(AnyRule)
RESERVED_NAMES: Final = frozenset(("wire_drift", "notifier_test"))
RESERVED_LABELS: Final = frozenset(("alertname", "provider", "severity", "service", "acknowledged_by"))
MINUTES_KEPT_S: Final = 3 * 3600
HOURS_KEPT_S: Final = 31 * 86_400
MAX_CALLS_PER_S: Final = 5000
"""More calls of one provider are not counted by one health service; a minimum beyond it is never reached."""

Rules = tuple[AnyRule, ...]


def read(raw: Sequence[Mapping[str, Any]], providers: Collection[str]) -> tuple[Rules, list[Problem]]:
    """The rules that can be read, and what is wrong; accept the rules only when nothing is.

    Args:
        providers: names of those that are configured.
    """
    rules: list[AnyRule] = []
    problems: list[Problem] = []
    for position, each in enumerate(raw):
        where = f"rules[{position}]"
        try:
            rule = RULE.validate_python(each)
        except ValidationError as error:
            problems += explained(where, error, RUNBOOKS)
            continue
        rules.append(rule)
        problems += _alone(where, rule, providers)
    names = [str(each.get("name")) for each in raw]
    problems += _duplicates(names)
    problems += _inhibitions([(names.index(rule.name), rule) for rule in rules], names)
    return tuple(rules), problems


def applying(rules: Iterable[AnyRule], provider: str) -> Rules:
    """Those that watch ``provider``."""
    return tuple(
        rule for rule in rules if rule.enabled and (not rule.providers or provider in rule.providers)
    )


def windows_of(rule: AnyRule) -> Iterator[str]:
    """Names of the windows whose figures the rule needs."""
    match rule.kind:
        case "burn_rate":
            for burn in rule.burns:
                yield from (burn.long, burn.short)
        case "latency_baseline":
            yield from (rule.window, "7d")
        case "error_rate" | "latency":
            yield rule.window


def explained(where: str, error: ValidationError, kinds: Collection[str]) -> list[Problem]:
    """What pydantic has found, in the words and with the places of the file.

    Args:
        kinds: values of the key ``kind``, which pydantic puts before the place of what it found.
    """
    return [
        Problem(where=_place(where, found["loc"], kinds), message=_message(found))
        for found in error.errors(include_url=False)
    ]


def _place(where: str, location: tuple[int | str, ...], kinds: Collection[str]) -> str:
    parts = location[1:] if location and location[0] in kinds else location
    return where + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)


def _message(found: Any) -> str:
    match found["type"]:
        case "extra_forbidden":
            return "there is no such key; docs/alerts.md lists those of each kind"
        case "union_tag_invalid":
            return f"kind '{found['ctx']['tag']}' is unknown; expected one of {found['ctx']['expected_tags']}"
        case "union_tag_not_found":
            return "kind is missing; it says what the rest means"
        case "missing":
            return "is missing"
    return f"{found['msg']}, not {found['input']!r}"


def _alone(where: str, rule: AnyRule, providers: Collection[str]) -> Iterator[Problem]:
    """What is wrong with a rule whatever the others are."""
    for position, name in enumerate(rule.providers):
        if name not in providers:
            known = ", ".join(sorted(providers))
            yield _problem(
                f"{where}.providers[{position}]",
                f"provider '{name}' is not configured; configured are {known}",
            )
    if rule.name in RESERVED_NAMES:
        yield _problem(
            f"{where}.name", f"'{rule.name}' is the name of an alert that is raised without a rule"
        )
    for label in sorted(RESERVED_LABELS & rule.labels.keys()):
        yield _problem(f"{where}.labels.{label}", "this label is set by Fairlead itself")
    windows = tuple(windows_of(rule))
    history_s = min((_kept_s(name) - WINDOWS_S[name] for name in windows), default=HOURS_KEPT_S)
    if rule.for_s > history_s:
        text = (
            f"can never fire: for_s is {rule.for_s:g} s, but what it looks at is kept for {history_s} s only"
        )
        yield _problem(f"{where}.for_s", text)
    yield from _minimum(where, rule)
    if isinstance(rule, BurnRateRule):
        yield from _burns(where, rule)


def _kept_s(window: str) -> int:
    return MINUTES_KEPT_S if WINDOWS_S[window] <= WINDOWS_S["1h"] else HOURS_KEPT_S


def _minimum(where: str, rule: AnyRule) -> Iterator[Problem]:
    asked: list[tuple[str, int, str]]
    match rule.kind:
        case "error_rate" | "latency" | "latency_baseline":
            asked = [("min_calls", rule.min_calls, rule.window)]
            if isinstance(rule, LatencyBaselineRule):
                asked.append(("min_baseline_calls", rule.min_baseline_calls, "7d"))
        case "burn_rate":
            asked = [("min_calls", rule.min_calls, burn.long) for burn in rule.burns]
        case _:
            return
    for key, minimum, window in asked:
        if minimum > (most := WINDOWS_S[window] * MAX_CALLS_PER_S):
            text = (
                f"can never fire: {minimum} calls in {window} are more than the {most} that health can count"
            )
            yield _problem(f"{where}.{key}", text)


def _burns(where: str, rule: BurnRateRule) -> Iterator[Problem]:
    budget = 1 - rule.objective
    for position, burn in enumerate(rule.burns):
        place = f"{where}.burns[{position}]"
        if WINDOWS_S[burn.short] >= WINDOWS_S[burn.long]:
            yield _problem(
                place, f"the short window ({burn.short}) must be shorter than the long one ({burn.long})"
            )
        if burn.factor * budget >= 1:
            text = (
                f"can never fire: {burn.factor:g} times an error budget of {budget:.4g} is an error rate of"
                f" {burn.factor * budget:.4g}, and no rate exceeds 1"
            )
            yield _problem(f"{place}.factor", text)


def _duplicates(names: Sequence[str]) -> Iterator[Problem]:
    for name, count in Counter(names).items():
        if count > 1 and name != "None":
            places = [f"rules[{position}]" for position, each in enumerate(names) if each == name]
            yield _problem(
                f"{places[-1]}.name", f"'{name}' is the name of {' and '.join(places)}; a name is given once"
            )


def _inhibitions(rules: Sequence[tuple[int, AnyRule]], names: Collection[str]) -> Iterator[Problem]:
    inhibitors = {rule.name: rule.inhibited_by for _, rule in rules}
    for position, rule in rules:
        for place, name in enumerate(rule.inhibited_by):
            where = f"rules[{position}].inhibited_by[{place}]"
            if name not in names:
                yield _problem(where, f"there is no rule '{name}'")
            elif rule.name in _reach(name, inhibitors):
                yield _problem(
                    where, f"'{rule.name}' and '{name}' inhibit each other, so that neither would be told"
                )


def _reach(name: str, inhibitors: Mapping[str, tuple[str, ...]]) -> set[str]:
    """The rule and all that inhibit it, directly or not."""
    found, left = set[str](), [name]
    while left:
        if (each := left.pop()) not in found:
            found.add(each)
            left += inhibitors.get(each, ())
    return found


def _problem(where: str, message: str) -> Problem:
    return Problem(where=where, message=message)
