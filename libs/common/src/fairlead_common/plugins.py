"""Strategies that other packages bring, under the entry-point group ``fairlead.strategies``; loaded once, at start.

Each is tried before it is used, and what cannot be used is left out and said, so that it can break neither a start nor
a request.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from fairlead_common.decisions.plugins import problem_of, safe
from fairlead_common.decisions.strategies import Score

logger = logging.getLogger(__name__)

GROUP: Final = "fairlead.strategies"


@dataclass(frozen=True, slots=True)
class Plugin:
    """A strategy that was found."""

    name: str
    package: str
    """Name and version of the distribution that brings it."""
    meaning: str = ""
    """First line of its docstring."""
    score: Score | None = None
    """None = it cannot be used, for the reason that ``problem`` gives."""
    problem: str | None = None


def load_plugins() -> list[Plugin]:
    """All that are installed, by name."""
    found = [_loaded(entry) for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name)]
    for each in found:
        if each.problem is not None:
            logger.error("strategy %s of %s is not used: %s", each.name, each.package, each.problem)
    return found


def usable(plugins: list[Plugin]) -> Mapping[str, Score]:
    """Name to score, of those that can be used."""
    return {each.name: each.score for each in plugins if each.score is not None}


def _loaded(entry: EntryPoint) -> Plugin:
    package = f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "unknown"
    try:
        score = entry.load()
    except Exception as error:  # noqa: BLE001 - whatever somebody else's module does when it is imported
        return Plugin(entry.name, package, problem=f"it cannot be loaded: {type(error).__name__}: {error}")
    meaning = (getattr(score, "__doc__", None) or "").strip().partition("\n")[0]
    problem = problem_of(entry.name, score)
    if problem is not None:
        return Plugin(entry.name, package, meaning, problem=problem)
    return Plugin(entry.name, package, meaning, safe(score))
