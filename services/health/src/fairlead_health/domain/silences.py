"""Silences: what they match, and why one is refused."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from fairlead_common.operations.alerts import Silence, SilenceIn


def silenced(silences: Iterable[Mapping[str, str]], labels: Mapping[str, str]) -> bool:
    """True when all matchers of one of the silences are among the labels."""
    return any(matchers.items() <= labels.items() for matchers in silences)


def refusal(
    asked: SilenceIn,
    existing: Iterable[Silence],
    now: datetime,
    providers: Collection[str],
    alertnames: Collection[str],
) -> str | None:
    """Why a silence is refused, or None.

    Args:
        existing: those that are not over yet.
        providers, alertnames: those there are; a silence for any other would do nothing.
    """
    starts_at = asked.starts_at or now
    if asked.ends_at <= now:
        return "ends_at must be in the future"
    if asked.ends_at <= starts_at:
        return "ends_at must be after starts_at"
    for label, known in (("provider", providers), ("alertname", alertnames)):
        value = asked.matchers.get(label)
        if value is not None and value not in known:
            return f"matchers.{label}: there is no '{value}'; it would silence nothing. There are {', '.join(sorted(known))}"
    for other in existing:
        if other.matchers == asked.matchers and starts_at < other.ends_at and other.starts_at < asked.ends_at:
            return (
                f"silence {other.id} has the same matchers and holds from {other.starts_at.isoformat()} to"
                f" {other.ends_at.isoformat()}; end it first, or begin this one afterwards"
            )
    return None
