"""Vectors for texts: texts that share words are near each other, the same text always has the same vector."""

import hashlib
import math
import random
import re
import struct
from base64 import b64encode
from functools import lru_cache

WORD = re.compile(r"\w+")


def vector(text: str, model: str, size: int) -> list[float]:
    """A vector of length 1 with ``size`` numbers; 0 only when ``size`` is."""
    found = [0.0] * size
    for word in WORD.findall(text.lower()) or [text]:
        for position, value in enumerate(_word(word, model, size)):
            found[position] += value
    length = math.sqrt(math.fsum(value * value for value in found)) or 1.0
    return [round(value / length, 8) for value in found]


@lru_cache(maxsize=2000)
def _word(word: str, model: str, size: int) -> tuple[float, ...]:
    digest = hashlib.blake2b(f"{model}|{word}".encode(), digest_size=8).digest()
    draw = random.Random(int.from_bytes(digest))  # noqa: S311 - reproducible numbers, not secrets
    return tuple(draw.gauss(0, 1) for _ in range(size))


def base64_of(values: list[float]) -> str:
    """Little-endian 32-bit floats in base64."""
    return b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


def int8_of(values: list[float]) -> list[int]:
    """Whole numbers from -128 to 127."""
    return [max(-128, min(127, round(value * 127))) for value in values]


def bits_of(values: list[float]) -> list[int]:
    """One bit a number (1 = positive), eight to a byte, first number highest; each byte from 0 to 255."""
    bits = [1 if value > 0 else 0 for value in values]
    padded = bits + [0] * (-len(bits) % 8)
    return [
        sum(bit << (7 - place) for place, bit in enumerate(padded[start : start + 8]))
        for start in range(0, len(padded), 8)
    ]
