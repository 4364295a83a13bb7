"""What a call is charged with: tokens in, out, of thought, and those a prompt cache saved."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from fairlead_simulator.ask import Ask
from fairlead_simulator.tokens import TOKEN, count

STEP = 128
"""Unmarked prefixes are cached in steps of this many tokens."""
KEPT = 4096


@dataclass
class Usage:
    """Tokens of one call. ``input`` includes ``cached`` and ``written``; ``output`` includes ``reasoning``."""

    input: int = 0
    cached: int = 0
    written: int = 0
    written_1h: int = 0
    output: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        """Input and output."""
        return self.input + self.output


class PromptCache:
    """Remembers beginnings of prompts, each model's apart; the oldest go first."""

    def __init__(self, kept: int = KEPT) -> None:
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._kept = kept

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()

    def charge(self, ask: Ask) -> Usage:
        """The input side of the usage of ``ask``; its prefixes are known from now on."""
        usage = Usage(input=ask.input_tokens)
        if ask.marks:
            self._marked(ask, usage)
        elif ask.cached_from is not None and usage.input >= ask.cached_from:
            self._unmarked(ask, ask.cached_from, usage)
        return usage

    def _marked(self, ask: Ask, usage: Usage) -> None:
        for mark in sorted(ask.marks, key=lambda mark: mark.end):
            prefix = ask.transcript[: mark.end]
            size = count(prefix)
            if size < (ask.cached_from or 0):
                continue
            if self._remember(_digest(ask.model, prefix)):
                usage.cached, usage.written, usage.written_1h = size, 0, 0
            else:
                new = size - usage.cached - usage.written
                usage.written += new
                usage.written_1h += new if mark.lifetime == "1h" else 0

    def _unmarked(self, ask: Ask, least: int, usage: Usage) -> None:
        running = hashlib.blake2b(ask.model.encode(), digest_size=16)
        start = 0
        for number, match in enumerate(TOKEN.finditer(ask.transcript), start=1):
            if number >= least and (number - least) % STEP == 0:
                running.update(ask.transcript[start : match.end()].encode())
                start = match.end()
                if self._remember(running.digest()):
                    usage.cached = number
                else:
                    usage.written = number - usage.cached

    def _remember(self, key: bytes) -> bool:
        known = key in self._known
        self._known[key] = None
        self._known.move_to_end(key)
        if len(self._known) > self._kept:
            self._known.popitem(last=False)
        return known


def _digest(model: str, prefix: str) -> bytes:
    return hashlib.blake2b(prefix.encode(), key=model.encode()[:64], digest_size=16).digest()
