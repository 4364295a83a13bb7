"""The bus's time stamps in the time of this process, whose clock may differ from the server's."""

import math
from typing import Final

WINDOW_S: Final = 60.0


class ServerClock:
    """How long ago the server stored a message, learnt from messages that came at once.

    Between the reading of our monotonic clock and such a message's stamp lies the difference of the two clocks and how
    long it travelled; the smallest of these is the difference, but for the shortest journey. Wall clocks do not enter,
    so a step of ours changes nothing. The smallest of about the last minute in which something came counts (of two
    halves in turn): when it is quiet, what was learnt last stays.
    """

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._half_s = window_s / 2
        self._began = -math.inf
        self._former = self._latest = math.inf

    def learn(self, stored_at: float, elapsed_s: float) -> None:
        """A message has just come at once. ``elapsed_s``: our monotonic clock; ``stored_at``: the server's stamp."""
        ahead_s = elapsed_s - stored_at
        if elapsed_s - self._began >= self._half_s:
            self._former, self._latest, self._began = self._latest, ahead_s, elapsed_s
        else:
            self._latest = min(self._latest, ahead_s)

    def here(self, stored_at: float, now: float, elapsed_s: float) -> float:
        """A stamp as Unix time of this process, not after ``now``; as it is, while nothing was learnt."""
        ahead_s = min(self._former, self._latest)
        if math.isinf(ahead_s):
            return stored_at
        return now - max(0.0, elapsed_s - stored_at - ahead_s)
