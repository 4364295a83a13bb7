"""How many tokens a target counts for one that we estimate: learned from the usage that its answers report.

An exponentially weighted ratio of sums. It begins at 1, as if ``PRIOR_TOKENS`` had been counted as estimated, moves by a
bounded step with each answer, and never leaves ``LEAST`` to ``MOST``, whatever a provider reports.
"""

from typing import NamedTuple

PRIOR_TOKENS = 2000.0
KEPT = 0.98
"""Share of what is known that each answer leaves: half is forgotten after 34."""
SHORT = 32
"""Texts of fewer estimated tokens teach nothing: one token more or less is too much of them."""
LONG = 4000
"""A longer text counts as one of so many."""
LEAST, MOST = 0.5, 2.0


class Correction(NamedTuple):
    """Tokens estimated and tokens counted, the older the lighter."""

    estimated: float = PRIOR_TOKENS
    counted: float = PRIOR_TOKENS

    @property
    def ratio(self) -> float:
        """Tokens counted for one estimated, ``LEAST`` to ``MOST``."""
        return self.counted / self.estimated


def learned(known: Correction, estimated: int, counted: int) -> Correction:
    """What is known after an answer whose input was estimated and counted so."""
    if estimated < SHORT or counted <= 0:
        return known
    weight = float(min(estimated, LONG))
    ratio = min(MOST, max(LEAST, counted / estimated))
    return Correction(KEPT * known.estimated + weight, KEPT * known.counted + weight * ratio)
