"""What it cost, in time and money, that other providers stood in. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from fairlead.drills.ledger import Tried
from fairlead.drills.requests import Asked, Ending


def by_call(attempts: Iterable[Tried]) -> dict[str, list[Tried]]:
    """The attempts of each call, in order."""
    found: dict[str, list[Tried]] = {}
    for each in attempts:
        found.setdefault(each.call_id, []).append(each)
    return found


def extra_ms(
    asked: Sequence[Asked], attempts: Mapping[str, Sequence[Tried]]
) -> tuple[list[float], list[float]]:
    """Of rescued requests, and of those that went well at once: the time that no attempt accounts for.

    Those that were sent again are left out: nothing tells what the edge that died had done for them.
    """
    rescued: list[float] = []
    usual: list[float] = []
    for each in asked:
        tried = attempts.get(each.call_id or "", ())
        if each.ending is not Ending.ANSWERED or each.cuts or not tried:
            continue
        extra = each.total_ms - sum(attempt.duration_ms for attempt in tried)
        (rescued if any(attempt.error_class for attempt in tried) else usual).append(extra)
    return rescued, usual


def extra_cost(attempts: Sequence[Tried], primary: str) -> float | None:
    """What stand-ins cost more than the primary would have; None = its prices or theirs are unknown."""
    good = [each for each in attempts if each.error_class is None]
    own = [each.cost_usd for each in good if each.provider == primary]
    others = [each.cost_usd for each in good if each.provider != primary]
    known = [cost for cost in own if cost is not None]
    if not others:
        return 0.0
    if not known or None in others:
        return None
    mean = sum(known) / len(known)
    return sum(cost - mean for cost in others if cost is not None)
