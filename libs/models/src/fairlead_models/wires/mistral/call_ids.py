"""Tool-call ids in the form Mistral accepts: nine of [A-Za-z0-9], else it answers 400 (code 3280)."""

import hashlib

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
LENGTH = 9


class CallIds:
    """The mapping within one request: the same for the same conversation, and no two ids become one."""

    def __init__(self) -> None:
        self._short: dict[str, str] = {}
        self._long: dict[str, str] = {}

    def short(self, found: str) -> str:
        """``found`` in Mistral's form: unchanged when it is in that form already, else a stable hash."""
        known = self._short.get(found)
        if known is not None:
            return known
        short = found if acceptable(found) else digest(found)
        salt = 0
        while self._long.get(short, found) != found:
            salt += 1
            short = digest(f"{found}#{salt}")
        self._short[found] = short
        self._long[short] = found
        return short

    def original(self, short: str) -> str:
        """The id that became ``short``; an id that is not from this conversation stays itself."""
        return self._long.get(short, short)


def acceptable(found: str) -> bool:
    """Mistral takes this id as it is."""
    return len(found) == LENGTH and found.isascii() and found.isalnum()


def digest(found: str) -> str:
    """Nine characters from a hash of ``found``."""
    number = int.from_bytes(hashlib.sha256(found.encode()).digest()[:8], "big")
    digits = []
    for _ in range(LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(digits)
