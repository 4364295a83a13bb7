"""What adapters saw that they do not know: counted once per kind, so that a vendor's change is noticed before it hurts."""

import time
from collections import Counter
from typing import NamedTuple

MAX_KINDS = 50
"""Of one provider; garbage of one must not hide what another changes."""


class Drift(NamedTuple):
    """Something new on the wire of one provider: a name and where it stood, never a value."""

    provider: str
    kind: str
    """``wire:where.name``, as in ``openai:usage.new_tokens`` or ``anthropic:event.new_event``."""


class FirstSighting(NamedTuple):
    """A kind of drift that this process had not seen before."""

    drift: Drift
    at_unix_s: float


class DriftLog:
    """Counts unknown fields and event types; bounded, so that garbage cannot fill memory.

    ``with log.of(provider):`` around decoding says whose wire it is: wires do not know, and decoding never waits.
    """

    def __init__(self) -> None:
        self.counts: Counter[Drift] = Counter()
        self._kinds: Counter[str] = Counter()
        self._fresh: list[FirstSighting] = []
        self._provider = ""

    def of(self, provider: str) -> "DriftLog":
        """What is noted until the end of the block was sent by ``provider``."""
        self._provider = provider
        return self

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self._provider = ""

    def note(self, wire: str, where: str, name: str) -> None:
        """Count one sighting. What is no printable ASCII in a name is given as ``?``."""
        drift = Drift(self._provider, _printable(f"{wire}:{where}.{name}"[:120]))
        if drift not in self.counts:
            if self._kinds[drift.provider] >= MAX_KINDS:
                return
            self._kinds[drift.provider] += 1
            self._fresh.append(FirstSighting(drift, time.time()))
        self.counts[drift] += 1

    def fields(self, wire: str, where: str, body: dict[str, object], known: frozenset[str]) -> None:
        """Count the keys of ``body`` that are not in ``known``."""
        if not body.keys() <= known:
            for name in body.keys() - known:
                self.note(wire, where, name)

    def take_fresh(self) -> list[FirstSighting]:
        """Kinds seen for the first time since the last call."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def clear(self) -> None:
        """Begin anew, as a new process does."""
        self.counts.clear()
        self._kinds.clear()
        self._fresh.clear()


def _printable(name: str) -> str:
    if name.isascii() and name.isprintable():
        return name
    return "".join(each if " " <= each <= "~" else "?" for each in name)


DRIFT = DriftLog()
"""The process's log; adapters have no state of their own to keep it in."""
