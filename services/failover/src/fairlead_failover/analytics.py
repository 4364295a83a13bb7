"""What failover did in a period: figures from the rows of the log and from the sums of calls."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from fairlead_common.operations import failover as ops
from fairlead_common.operations.calls import Rescue
from sqlalchemy import RowMapping


def figures(
    rows: Sequence[RowMapping], since: datetime, until: datetime, open_now: int, rescues: list[Rescue] | None
) -> ops.Analytics:
    """Put together; what is not known stays null."""
    away = [row for row in rows if row["kind"] == "switched"]
    back = [row for row in rows if row["kind"] == "recovered"]
    return ops.Analytics(
        since=since,
        until=until,
        switched=sum(row["n"] for row in away),
        recovered=sum(row["n"] for row in back),
        open_now=open_now,
        causes=_counted((row["cause"], row["n"]) for row in away),
        mean_time_to_detect_s=_mean(away, "detect_s", "detected"),
        mean_time_to_recover_s=_mean(back, "down_s", "n"),
        longest_s=max((row["longest_s"] for row in back if row["longest_s"] is not None), default=None),
        by_provider=_counted((row["target"], row["n"]) for row in away),
        providers=None if rescues is None else [_provider(each, away) for each in rescues],
    )


def _provider(rescue: Rescue, away: Iterable[RowMapping]) -> ops.ProviderAnalytics:
    own = [row for row in away if row["target"].partition("/")[0] == rescue.provider]
    return ops.ProviderAnalytics(
        **rescue.model_dump(),
        switched=sum(row["n"] for row in own),
        causes=_counted((row["cause"], row["n"]) for row in own),
        availability_with_failover=rescue.served / rescue.calls if rescue.calls else None,
        availability_without_failover=_without(rescue),
    )


def _without(rescue: Rescue) -> ops.Bounds | None:
    """Nobody knows what the provider would have made of the calls that never reached it."""
    if not rescue.calls:
        return None
    first = rescue.served_first
    return ops.Bounds(low=first / rescue.calls, high=(first + rescue.led_elsewhere) / rescue.calls)


def _counted(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for name, count in pairs:
        found[name] += count
    return dict(sorted(found.items()))


def _mean(rows: Iterable[RowMapping], total: str, count: str) -> float | None:
    sums: list[tuple[Any, int]] = [(row[total], row[count]) for row in rows if row[total] is not None]
    samples = sum(number for _, number in sums)
    return sum(float(value) for value, _ in sums) / samples if samples else None
