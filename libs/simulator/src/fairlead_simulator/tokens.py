"""The simulator's own tokenizer: runs of up to six word characters, and single signs."""

import re

TOKEN = re.compile(r"\w{1,6}|[^\w\s]")
WORD = re.compile(r"\s*\S+")


def count(text: str) -> int:
    """Tokens in ``text``."""
    return len(TOKEN.findall(text))


def shortened(text: str, limit: int) -> str:
    """The first ``limit`` tokens of ``text``."""
    if limit <= 0:
        return ""
    for number, match in enumerate(TOKEN.finditer(text), start=1):
        if number == limit:
            return text[: match.end()]
    return text


def pieces(text: str) -> list[str]:
    """The words of ``text`` with the space before each: what one event of a stream carries."""
    return WORD.findall(text) if text else []


def slices(text: str, size: int = 12) -> list[str]:
    """``text`` in pieces of at most ``size`` characters, and at least two pieces when it has two characters."""
    size = min(size, max(1, (len(text) + 1) // 2))
    return [text[start : start + size] for start in range(0, len(text), size)]
