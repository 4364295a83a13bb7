"""The metrics that providers are compared by: what each is made of, which way is better, how much of it is enough."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fairlead_common import sketch
from fairlead_common.operations.comparison import Metric

from fairlead_comparison.domain.samples import Mean, Proportion, Quantile, Sample, design_effect, spread
from fairlead_comparison.domain.sums import Sums, total


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """A metric. ``sample`` makes it of the sums of successive blocks of time; None = there is nothing."""

    unit: str
    lower_is_better: bool
    enough: int
    """Observations below which nothing is claimed."""
    observed: str
    """What an observation is, in the plural."""
    sample: Callable[[Sequence[Sums]], Sample | None]


def error_rate(blocks: Sequence[Sums]) -> Proportion | None:
    """Failed attempts of all."""
    events, n = sum(each.failures for each in blocks), sum(each.attempts for each in blocks)
    if n == 0:
        return None
    share = events / n
    residuals = [each.failures - share * each.attempts for each in blocks]
    return Proportion(events, n, design_effect(residuals, n, share * (1 - share)))


def latency(q: float) -> Callable[[Sequence[Sums]], Quantile | None]:
    """A quantile of the latency of complete answers."""
    return lambda blocks: _quantile([each.latency for each in blocks], q)


def ttft(q: float) -> Callable[[Sequence[Sums]], Quantile | None]:
    """A quantile of the time to the first token of streamed answers."""
    return lambda blocks: _quantile([each.ttft for each in blocks], q)


def cost(blocks: Sequence[Sums]) -> Mean | None:
    """Mean cost of a complete answer whose price is known."""
    sums = total(blocks)
    if sums.priced < 2:
        return None
    mean = Mean.of_sums(sums.cost_usd, sums.cost_usd_sq, sums.priced)
    residuals = [each.cost_usd - mean.value * each.priced for each in blocks]
    return Mean(mean.value, mean.variance, mean.n, design_effect(residuals, mean.n, mean.variance))


def tokens_per_s(blocks: Sequence[Sums]) -> Mean | None:
    """Output tokens over time after the first token: a ratio of sums, linearised."""
    sums = total(blocks)
    n = sums.generations
    if n < 2:
        return None
    ratio = sums.output_tokens / sums.generation_ms
    squares = sums.output_tokens_sq - 2 * ratio * sums.tokens_times_ms + ratio * ratio * sums.generation_ms_sq
    variance = spread(squares / (n - 1), sums.output_tokens / n)
    residuals = [each.output_tokens - ratio * each.generation_ms for each in blocks]
    per_s = 1000 * n / sums.generation_ms
    return Mean(1000 * ratio, variance * per_s**2, n, design_effect(residuals, n, variance))


def _quantile(blocks: Sequence[Mapping[int, int]], q: float) -> Quantile | None:
    merged: sketch.Sketch = sketch.Sketch()
    for each in blocks:
        merged.update(each)
    if not merged.total():
        return None
    plain = Quantile.of_sketch(merged, q)
    edge, n = plain.bucket, plain.n
    below = [sum(count for bucket, count in each.items() if bucket <= edge) for each in blocks]
    share = sum(below) / n
    residuals = [found - share * sum(each.values()) for found, each in zip(below, blocks, strict=True)]
    return Quantile.of_sketch(merged, q, design_effect(residuals, n, share * (1 - share)))


def _not_of_sums(blocks: Sequence[Sums]) -> None:
    """Quality comes from the scores of A/B tests."""


METRICS: Mapping[Metric, MetricSpec] = {
    Metric.LATENCY_P50: MetricSpec("ms", True, 20, "complete answers", latency(0.5)),
    Metric.LATENCY_P95: MetricSpec("ms", True, 100, "complete answers", latency(0.95)),
    Metric.TTFT_P50: MetricSpec("ms", True, 20, "streamed answers", ttft(0.5)),
    Metric.ERROR_RATE: MetricSpec("share", True, 20, "attempts", error_rate),
    Metric.COST_PER_CALL: MetricSpec("USD", True, 20, "answers of known cost", cost),
    Metric.QUALITY: MetricSpec("score", False, 10, "scored prompts", _not_of_sums),
    Metric.OUTPUT_TOKENS_PER_S: MetricSpec("tokens/s", False, 20, "streamed answers", tokens_per_s),
}
