"""What is said of a model at a provider: figures where enough was seen, None where not."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from fairlead_common import sketch
from fairlead_common.events.comparison import ModelPerformance, ProviderPerformance

from fairlead_comparison.domain.scores import Quality
from fairlead_comparison.domain.sums import Sums

Target = tuple[str, str]
"""Provider and model."""

MIN_FOR_MEDIAN = 5
MIN_FOR_P95 = 20
"""Fewer complete answers than this say nothing of the slowest twentieth."""
MIN_SCORES = 5


def chosen(
    short: Mapping[Target, Sums], long: Mapping[Target, Sums], min_calls: int, short_s: int, long_s: int
) -> dict[Target, tuple[Sums, int]]:
    """The sums to speak of and their window in seconds, by target: the short window, or the long one when it is thin."""
    found: dict[Target, tuple[Sums, int]] = {}
    for target in sorted({*short, *long}):
        sums = short.get(target, Sums())
        if sums.attempts >= min_calls or target not in long:
            found[target] = (sums, short_s)
        else:
            found[target] = (long[target], long_s)
    return found


def measured(
    target: Target, sums: Sums, window_s: int, quality: Quality | None, min_calls: int
) -> ModelPerformance:
    """The figures of one target. An error rate needs ``min_calls`` attempts, a median 5 answers, a p95 20."""
    provider, model = target
    return ModelPerformance(
        provider=provider,
        model=model,
        window_s=window_s,
        calls=sums.attempts,
        failures=sums.failures,
        error_rate=_rounded(sums.failures / sums.attempts, 6) if sums.attempts >= min_calls else None,
        latency_p50_ms=_quantile(sums.latency, 0.5, MIN_FOR_MEDIAN),
        latency_p95_ms=_quantile(sums.latency, 0.95, MIN_FOR_P95),
        ttft_p50_ms=_quantile(sums.ttft, 0.5, MIN_FOR_MEDIAN),
        ttft_p95_ms=_quantile(sums.ttft, 0.95, MIN_FOR_P95),
        output_tokens_per_s=_tokens_per_s(sums),
        cost_per_call_usd=sums.cost_usd / sums.priced if sums.priced >= MIN_FOR_MEDIAN else None,
        quality=_rounded(quality.mean, 6) if quality and quality.samples >= MIN_SCORES else None,
        quality_samples=quality.samples if quality else 0,
    )


def by_provider(
    providers: Iterable[str], models: Iterable[ModelPerformance], window_s: int, window_end: datetime
) -> dict[str, ProviderPerformance]:
    """The figures of each provider (also of one without any), its models by name."""
    found: dict[str, list[ModelPerformance]] = {provider: [] for provider in providers}
    for each in models:
        found.setdefault(each.provider, []).append(each)
    return {
        provider: ProviderPerformance(
            provider=provider,
            window_s=window_s,
            window_end=window_end,
            models=tuple(sorted(each, key=lambda model: model.model)),
        )
        for provider, each in sorted(found.items())
    }


def _quantile(values: sketch.Sketch, q: float, at_least: int) -> float | None:
    if values.total() < at_least:
        return None
    return _rounded(sketch.quantile(values, q), 3)


def _tokens_per_s(sums: Sums) -> float | None:
    if sums.generations < MIN_FOR_MEDIAN:
        return None
    return _rounded(1000 * sums.output_tokens / sums.generation_ms, 3)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
