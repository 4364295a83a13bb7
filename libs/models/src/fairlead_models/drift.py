"""What adapters saw that they do not know: counted once per kind, so that a vendor's change is noticed before it hurts."""

from collections import Counter

MAX_KINDS = 200


class DriftLog:
    """Counts unknown fields and event types by ``wire:where.name``; bounded, so that garbage cannot fill memory."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._fresh: list[str] = []

    def note(self, wire: str, where: str, name: str) -> None:
        """Count one sighting."""
        kind = f"{wire}:{where}.{name}"[:120]
        if kind not in self.counts:
            if len(self.counts) >= MAX_KINDS:
                return
            self._fresh.append(kind)
        self.counts[kind] += 1

    def fields(self, wire: str, where: str, body: dict[str, object], known: frozenset[str]) -> None:
        """Count the keys of ``body`` that are not in ``known``."""
        if not body.keys() <= known:
            for name in body.keys() - known:
                self.note(wire, where, name)

    def take_fresh(self) -> list[str]:
        """Kinds seen for the first time since the last call."""
        fresh, self._fresh = self._fresh, []
        return fresh


DRIFT = DriftLog()
"""The process's log; adapters have no state of their own to keep it in."""
