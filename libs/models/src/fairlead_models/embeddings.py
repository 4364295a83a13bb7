"""Vectors as base64 of little-endian 32-bit floats, the form in which the OpenAI API sends them."""

import base64
import binascii
import math
import struct

LARGEST = 3.4028234663852886e38
"""The largest 32-bit float."""


def floats_of(encoded: str) -> list[float]:
    """The numbers in ``encoded``.

    Raises:
        ValueError: not base64, not a whole number of floats, or one that is no number.
    """
    try:
        held = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise ValueError(f"the vector is not base64: {error}") from error
    if len(held) % 4:
        raise ValueError(f"the vector has {len(held)} bytes, which is no whole number of 32-bit floats")
    found = list(struct.unpack(f"<{len(held) // 4}f", held))
    if not all(map(math.isfinite, found)):
        raise ValueError("the vector holds something that is no finite number")
    return found


def encoded_floats(vector: list[float]) -> str:
    """``vector`` as base64; a number beyond the range of 32-bit floats becomes the last one within."""
    bounded = [min(max(number, -LARGEST), LARGEST) for number in vector]
    return base64.b64encode(struct.pack(f"<{len(bounded)}f", *bounded)).decode()
