"""Edges that a drill killed, and the requests that were on them. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from fairlead.drills.injection import Done
from fairlead.drills.requests import Asked, Ending
from fairlead.drills.scenario import Verb

NEWS_S = 0.25
"""So long after a kill a caller may still send on a connection whose end has not reached it."""


@dataclass(frozen=True)
class Deaths:
    """Position of an edge and when it was killed (Unix seconds), for each time."""

    found: tuple[tuple[int, float], ...]

    @classmethod
    def of(cls, done: Iterable[Done]) -> "Deaths":
        """Those among the steps that were done."""
        return cls(tuple(_deaths(done)))

    def broke(self, asked: Asked) -> bool:
        """A stream had begun on an edge that was killed, and its connection broke."""
        begun = asked.ending is Ending.LOST and asked.stream and asked.status != 0
        return begun and self._between(asked.edge, _last_sent(asked), asked.ended)

    def explain_cuts(self, asked: Asked) -> bool:
        """Each time it was sent again, its edge had been killed; so it is where it never was."""
        sent = [asked.due, *(cut.at for cut in asked.cuts)]
        return all(
            self._between(cut.edge, began, cut.at) for cut, began in zip(asked.cuts, sent, strict=False)
        )

    def _between(self, edge: int, sent: float, ended: float) -> bool:
        return any(dead == edge and sent <= at + NEWS_S and at <= ended for dead, at in self.found)


def _last_sent(asked: Asked) -> float:
    return asked.cuts[-1].at if asked.cuts else asked.due


def _deaths(done: Iterable[Done]) -> Iterable[tuple[int, float]]:
    for each in done:
        name, _, number = each.step.of.partition("-")
        if name == "edge" and each.step.verb in (Verb.KILL, Verb.STOP):
            yield int(number or 1) - 1, each.at
