"""Loads what was measured over a window and hands it to the domain; keeps the daily table."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, NamedTuple

from fairlead_common.operations.comparison import Metric

from fairlead_comparison.domain.comparison import Arms, Verdict, block_seconds, verdicts
from fairlead_comparison.domain.metrics import METRICS
from fairlead_comparison.domain.samples import Sample
from fairlead_comparison.domain.sums import Part
from fairlead_comparison.domain.targets import Selection, blocks_of, quality_steps, scores_of
from fairlead_comparison.store.comparisons import ComparisonStore
from fairlead_comparison.store.sums import SumStore, Window

MINUTES_REACH: Final = timedelta(hours=48)
"""Longer windows, and those that begin earlier than minutes are kept, are put together from hours."""
MINUTES_KEPT: Final = timedelta(days=31)
SKETCH_OF: Final = {Metric.LATENCY_P50: "latency", Metric.LATENCY_P95: "latency", Metric.TTFT_P50: "ttft"}


Steps = Mapping[str, Sequence[tuple[datetime, Sample]]]
"""What each target showed in each step of time."""


class Measured(NamedTuple):
    """Samples of every target by metric. ``quality_since``: scores are looked for from then on."""

    arms: dict[Metric, Arms]
    quality_since: datetime


class Comparer:
    """Compares over any window."""

    def __init__(
        self,
        sums: SumStore,
        daily: ComparisonStore,
        quality_window: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._sums = sums
        self._daily = daily
        self._quality_window = quality_window
        self._clock = clock

    def window(self, until: datetime | None, window_s: int, kinds: Collection[str]) -> Window:
        """The window of a query: its begin on a whole minute or hour, its end as asked for."""
        now = self._clock()
        end = until or now
        since = (end - timedelta(seconds=window_s)).astimezone(UTC).replace(second=0, microsecond=0)
        hourly = end - since > MINUTES_REACH + timedelta(minutes=1) or since < now - MINUTES_KEPT
        return Window(since.replace(minute=0) if hourly else since, end, tuple(kinds), hourly)

    async def measure(self, window: Window, metrics: Collection[Metric], selection: Selection) -> Measured:
        """Samples of the selected targets."""
        sketches = {SKETCH_OF[metric] for metric in metrics if metric in SKETCH_OF}
        blocks = blocks_of(await self._blocks(window, sketches), selection)
        quality_since = min(window.since, window.until - self._quality_window)
        scores = await self._sums.scores(quality_since, window.until) if Metric.QUALITY in metrics else []
        quality = scores_of(scores, selection)
        arms: dict[Metric, Arms] = {}
        for metric in metrics:
            if metric is Metric.QUALITY:
                arms[metric] = {name: quality.get(name) for name in {*blocks, *quality}}
            else:
                arms[metric] = {
                    name: METRICS[metric].sample(list(each.values())) for name, each in blocks.items()
                }
        return Measured(arms, quality_since)

    async def _blocks(self, window: Window, sketches: Collection[str]) -> list[Part]:
        extent = await self._sums.extent(window)
        if extent is None:
            return []
        unit_s = 3600 if window.hourly else 60
        length_s = block_seconds(extent[0].timestamp(), extent[1].timestamp(), unit_s)
        return await self._sums.parts(window, length_s, sketches)

    async def trend(self, metric: Metric, window: Window, selection: Selection, step_s: int) -> Steps:
        """Samples of the selected targets in each step of time that has any."""
        if metric is Metric.QUALITY:
            scores = await self._sums.scores(window.since, window.until)
            return dict(quality_steps(scores, selection, step_s))
        sketches = (SKETCH_OF[metric],) if metric in SKETCH_OF else ()
        blocks = blocks_of(await self._sums.parts(window, step_s, sketches), selection)
        make = METRICS[metric].sample
        return {
            name: [(at, sample) for at, sums in each.items() if (sample := make([sums])) is not None]
            for name, each in blocks.items()
        }

    async def compute_day(self, day: date) -> None:
        """Compare all providers over one day (UTC), and replace what the table says of it."""
        since = datetime.combine(day, time(), UTC)
        hourly = since < self._clock() - MINUTES_KEPT
        window = Window(since, since + timedelta(days=1), ("live",), hourly)
        measured = await self.measure(window, list(Metric), Selection())
        await self._daily.replace_day(day, [_row(day, each) for each in verdicts(measured.arms)])

    async def keep_daily(self) -> None:
        """Today so far, and yesterday, of which late calls may still come."""
        today = self._clock().date()
        for day in (today - timedelta(days=1), today):
            await self.compute_day(day)


def _row(day: date, verdict: Verdict) -> dict[str, Any]:
    found = verdict.difference
    return {
        "comparison_date": day,
        "provider1": verdict.first,
        "provider2": verdict.second,
        "metric": verdict.metric.value,
        "provider1_value": verdict.first_value,
        "provider2_value": verdict.second_value,
        "winner": verdict.winner,
        "n1": verdict.first_n,
        "n2": verdict.second_n,
        "difference": found.value if found else None,
        "difference_low": _end(found.low) if found else None,
        "difference_high": _end(found.high) if found else None,
        "p_value": found.p_value if found else None,
        "adjusted_p_value": verdict.adjusted_p,
        "method": verdict.method,
        "reason": verdict.reason,
    }


def _end(limit: float) -> float | None:
    return limit if math.isfinite(limit) else None
