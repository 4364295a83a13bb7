"""What this edge has learned of how targets count tokens, and when that is worth deciding by."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from fairlead_common.decisions.targets import Target
from fairlead_models.corrections import Correction, learned

MAX_TARGETS: Final = 4096
MATERIAL: Final = 0.02
"""A ratio that moved by less is not applied."""
EVERY_S: Final = 5.0
"""Ratios are applied this often at most: what was remembered of candidates is forgotten then."""


class TokenRatios:
    """Ratios per target, in memory: an edge that starts learns them within a few answers."""

    def __init__(self) -> None:
        self._known: OrderedDict[Target, Correction] = OrderedDict()
        self._applied: dict[Target, float] = {}
        self._applied_at = float("-inf")

    @property
    def applied(self) -> Mapping[Target, float]:
        """Tokens counted for one estimated, as decisions use it now."""
        return self._applied

    def corrected(self, target: Target, estimated: int) -> int:
        """Input tokens that ``target`` will count for a text of so many estimated ones."""
        return round(estimated * self._applied.get(target, 1.0))

    def note(self, target: Target, estimated: int, counted: int, now: float) -> bool:
        """An answer of ``target`` told its input tokens; True when ``applied`` is new."""
        found = self._known[target] = learned(self._known.get(target, Correction()), estimated, counted)
        self._known.move_to_end(target)
        if len(self._known) > MAX_TARGETS:
            self._known.popitem(last=False)
        moved = abs(found.ratio - self._applied.get(target, 1.0)) >= MATERIAL
        if not moved or now - self._applied_at < EVERY_S:
            return False
        self._applied = {each: correction.ratio for each, correction in self._known.items()}
        self._applied_at = now
        return True
