"""Answers spoilt on purpose: wrong types, unknown fields, bytes that are not UTF-8.

They work on the JSON and the events of any vendor.
"""

from collections.abc import Callable
from typing import Any

import orjson

Change = Callable[[Any], Any]


def wrong_types(value: Any) -> Any:
    """Texts become numbers, numbers and flags texts, lists objects; null and the keys stay."""
    if isinstance(value, dict):
        return {name: wrong_types(each) for name, each in value.items()}
    if isinstance(value, list):
        return {str(position): wrong_types(each) for position, each in enumerate(value)}
    if value is None:
        return None
    return 7 if isinstance(value, str) else f"<{value}>"


def hollow(value: Any) -> Any:
    """An object with nothing in it."""
    return {}


def with_unknown_fields(value: Any) -> Any:
    """An extra field in each object that the vendor made: the outermost, and those in its lists."""
    if isinstance(value, list):
        return [with_unknown_fields(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {
        name: with_unknown_fields(each) if isinstance(each, list) else each for name, each in value.items()
    }
    return {**found, "x_simulated_field": {"added": True}}


def changed(data: bytes, change: Change) -> bytes:
    """``data`` (a JSON document, or events of a stream) with each JSON document changed."""
    if b"data: " not in data:
        first, last = data.find(b"{"), data.rfind(b"}") + 1
        return data if first < 0 else data[:first] + _changed(data[first:last], change) + data[last:]
    lines = [
        b"data: " + _changed(line[6:], change) if line.startswith(b"data: {") else line
        for line in data.split(b"\n")
    ]
    return b"\n".join(lines)


def _changed(document: bytes, change: Change) -> bytes:
    return orjson.dumps(change(orjson.loads(document)))


def not_utf8(data: bytes) -> bytes:
    """``data`` with two bytes that no UTF-8 text has, inside its last JSON string."""
    place = data.rfind(b'"')
    return data if place < 0 else data[:place] + b"\xff\xc0" + data[place:]
