"""How much of a conversation its targets are likely to have in their prompt caches, learned from what they bill.

A turn repeats the turns before it. A target that answered the last one within a cache's lifetime may have them cached;
how often that comes true is learned per target, as providers cache in different ways, and some not at all.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from fairlead_common.decisions.targets import Target

LASTS_S: Final = 300.0
"""The shortest lifetime of the vendors' caches, renewed by each use."""
MIN_TOKENS: Final = 1024
"""Shorter beginnings are not cached."""
MAX_CONVERSATIONS: Final = 10_000
PRIOR_HITS: Final = 1.0
PRIOR_TURNS: Final = 2.0
KEPT: Final = 0.95
"""Of the weight of former turns, with each new one."""


@dataclass(slots=True)
class _Record:
    """What came of expecting cached input of one target."""

    hits: float = PRIOR_HITS
    turns: float = PRIOR_TURNS


class Affinity:
    """What this process remembers: conversations are known by a hash, and forgotten within minutes."""

    def __init__(self) -> None:
        self._turns: OrderedDict[str, dict[Target, tuple[int, float]]] = OrderedDict()
        """conversation to target to (estimated input tokens of the last turn there, Unix time)."""
        self._records: dict[Target, _Record] = {}

    def shares(self, conversation: str, input_tokens: int, now: float) -> dict[Target, float]:
        """target to the share of the input, 0 to 1, that is expected in its cache; targets with none are left out."""
        turns = self._turns.get(conversation, {})
        found = {target: self._repeated(turn, input_tokens, now) for target, turn in turns.items()}
        return {target: share * self._hit_rate(target) for target, share in found.items() if share > 0.0}

    def note(
        self, conversation: str, target: Target, input_tokens: int, cached_share: float, now: float
    ) -> None:
        """A turn was answered.

        Args:
            input_tokens: the estimate of the request.
            cached_share: of the input, 0 to 1, that the provider billed as cached.
        """
        turns = self._turns.setdefault(conversation, {})
        if target in turns and (repeated := self._repeated(turns[target], input_tokens, now)) > 0.0:
            record = self._records.setdefault(target, _Record())
            record.hits = KEPT * record.hits + min(1.0, cached_share / repeated)
            record.turns = KEPT * record.turns + 1.0
        turns[target] = (input_tokens, now)
        self._turns.move_to_end(conversation)
        if len(self._turns) > MAX_CONVERSATIONS:
            self._turns.popitem(last=False)

    def _hit_rate(self, target: Target) -> float:
        record = self._records.get(target)
        return PRIOR_HITS / PRIOR_TURNS if record is None else record.hits / record.turns

    @staticmethod
    def _repeated(turn: tuple[int, float], input_tokens: int, now: float) -> float:
        """Share of the input that the turn before had already, if it can still be cached."""
        tokens, at = turn
        if tokens < MIN_TOKENS or now - at > LASTS_S:
            return 0.0
        return min(1.0, tokens / max(input_tokens, 1))
