"""Reading a provider's body: a field of the wrong type is an error here, never a wrong answer later.

Everything raises TypeError or KeyError; decoders turn those into ``malformed``. Numbers that only inform (usage, ids)
are read leniently instead: unknown is None.
"""

from typing import Any

SHAPE_ERRORS = (KeyError, TypeError, AttributeError, ValueError, IndexError)
"""What reading a body of an unexpected shape can raise."""


def text(value: object) -> str:
    """A string."""
    if not isinstance(value, str):
        raise TypeError(f"expected a string, found {type(value).__name__}")
    return value


def word(value: object) -> str:
    """A string that says something: the name of a function, the id of a call."""
    if not text(value):
        raise ValueError("expected a name or id, found an empty string")
    return str(value)


def optional_text(value: object) -> str | None:
    """A string, or None when there is none."""
    return None if value is None else text(value)


def record(value: object) -> dict[str, Any]:
    """An object."""
    if not isinstance(value, dict):
        raise TypeError(f"expected an object, found {type(value).__name__}")
    return value


def optional_record(value: object) -> dict[str, Any]:
    """An object; an empty one when there is none."""
    return {} if value is None else record(value)


def records(value: object) -> list[dict[str, Any]]:
    """A list of objects; an empty one when there is none."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise TypeError(f"expected a list, found {type(value).__name__}")
    for each in value:
        record(each)
    return value


def joined(pieces: list[str]) -> str | None:
    """All pieces as one text, or None when there is no piece."""
    return "".join(pieces) if pieces else None


MOST = 2**53
"""Beyond this no count, index or time is believed; sums must stay within what JSON can hold."""


def as_int(value: object) -> int | None:
    """A whole number of at least 0, or None for anything else; some vendors send 12.0."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and 0 <= value <= MOST else None


def label(value: object) -> str | None:
    """A string that only informs (an id, a model's name), or None."""
    return value if isinstance(value, str) and value else None


def position(found: dict[str, Any], default: int) -> int:
    """``index`` of an entry; its place in the list when it carries none."""
    value = found.get("index")
    if value is None:
        return default
    index = as_int(value)
    if index is None:
        raise TypeError(f"expected a whole number as index, found {value!r:.40}")
    return index


def numbers(value: object) -> list[float]:
    """A list of numbers."""
    if not isinstance(value, list):
        raise TypeError(f"expected a list of numbers, found {type(value).__name__}")
    if not set(map(type, value)) <= {float, int}:
        raise TypeError("expected a list of nothing but numbers")
    return value


def logprobs(value: object) -> dict[str, Any] | None:
    """Log probabilities in the OpenAI form: an object whose lists hold objects."""
    if value is None:
        return None
    found = record(value)
    records(found.get("content"))
    records(found.get("refusal"))
    return found
