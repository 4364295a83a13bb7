"""From findings about pairs to a statement about the test, in words that do not promise more than was shown."""

from collections.abc import Sequence
from dataclasses import dataclass

from fairlead_common.operations.abtest import ComparisonOut, Verdict

from fairlead_abtest.domain.metrics import Metric


@dataclass(frozen=True)
class Circumstances:
    """What frames the findings. ``more_units`` of a pair are prompts, or calls of the only prompt."""

    metric: Metric
    minimum_effect: float
    alpha: float
    status: str
    stop_reason: str | None
    unit: str
    units: int


def verdict(arms: Sequence[str], pairs: Sequence[ComparisonOut], now: Circumstances) -> Verdict:
    """Winner: shown to be better than every other arm. No difference: the best are equivalent, the others worse."""
    beaten = {each.arm1 for each in pairs if each.finding == "better"}
    beaten |= {each.arm2 for each in pairs if each.finding == "worse"}
    leaders = [arm for arm in arms if arm not in beaten]
    winner = _winner(arms, pairs)
    if winner is None and _all_tied(leaders, pairs):
        kind, text = "no_difference", _tie_text(leaders, now)
    elif winner is None:
        kind, text = "not_enough_data", _open_text(pairs, leaders, now)
    else:
        kind, text = "winner", _winner_text(winner, pairs, now)
    more = _more(pairs, leaders) if kind == "not_enough_data" else None
    if now.status == "cancelled":
        kind, text = "stopped", f"The test was stopped ({now.stop_reason or 'cancelled'}). Until then: {text}"
    return Verdict.model_validate(
        {"kind": kind, "winner": winner, "leaders": leaders, "more_prompts": more, "text": text}
    )


def _winner(arms: Sequence[str], pairs: Sequence[ComparisonOut]) -> str | None:
    for arm in arms:
        if all(_beats(arm, each) for each in pairs if arm in (each.arm1, each.arm2)):
            return arm
    return None


def _beats(arm: str, pair: ComparisonOut) -> bool:
    return pair.finding == ("better" if arm == pair.arm2 else "worse")


def _all_tied(leaders: Sequence[str], pairs: Sequence[ComparisonOut]) -> bool:
    """The leaders are equivalent to each other, and each of the others is worse than one of them."""
    among = [each for each in pairs if each.arm1 in leaders and each.arm2 in leaders]
    return len(leaders) > 1 and all(each.finding == "equivalent" for each in among)


def _more(pairs: Sequence[ComparisonOut], leaders: Sequence[str]) -> int | None:
    needed = [
        each.more_units
        for each in pairs
        if each.finding == "undecided" and each.arm1 in leaders and each.arm2 in leaders
    ]
    known = [each for each in needed if each is not None]
    return max(known) if known and len(known) == len(needed) else None


def _winner_text(winner: str, pairs: Sequence[ComparisonOut], now: Circumstances) -> str:
    against = []
    for each in pairs:
        if winner in (each.arm1, each.arm2):
            other = each.arm1 if winner == each.arm2 else each.arm2
            against.append(f"{now.metric.better.format(size=_size(each, winner, now.metric))} {other}")
    return f"{winner} wins: it {', '.join(against)} ({_terms(now)})."


def _size(pair: ComparisonOut, winner: str, metric: Metric) -> str:
    """The difference as it reads from the winner's side."""
    value = pair.difference.value
    if value is None:
        return "100.0%"  # the winner is free
    if metric.relative and winner == pair.arm1:
        value = 1 / (1 + value) - 1
    return metric.size(value)


def _tie_text(leaders: Sequence[str], now: Circumstances) -> str:
    return (
        f"No difference worth having between {' and '.join(leaders)}: they are within"
        f" {now.metric.margin(now.minimum_effect)} of each other ({_terms(now)}). Choose by another criterion."
    )


def _open_text(pairs: Sequence[ComparisonOut], leaders: Sequence[str], now: Circumstances) -> str:
    more = _more(pairs, leaders)
    unknown = "how many more are needed cannot be said yet"
    wanted = unknown if more is None else f"about {more} more {now.unit}s are needed"
    return f"Not enough data to tell {' and '.join(leaders)} apart in {now.metric.name}: {wanted} ({_terms(now)})."


def _terms(now: Circumstances) -> str:
    return (
        f"{now.units} {now.unit}s, error rate {now.alpha:g}, smallest difference worth having"
        f" {now.metric.margin(now.minimum_effect)}"
    )
