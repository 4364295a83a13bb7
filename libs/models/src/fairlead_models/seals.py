"""Thoughts on their way through a caller: what a vendor wants back unchanged, packed into fields that callers return.

A caller of one format can use a model of any vendor, so a seal often travels in a field of another vendor's format.
``pack`` makes such a field self-describing; ``unpack`` reads it, and says None for a seal of the format's own vendor.
"""

import base64
import binascii
from typing import Any

import orjson

from fairlead_models.unified import Thought

PREFIX = "fairlead1."


def pack(thought: Thought) -> str:
    """``thought`` without its text, as one opaque string."""
    held = {
        "w": thought.wire,
        "s": thought.seal,
        "i": thought.id,
        "c": thought.call_id,
        "r": thought.redacted or None,
    }
    body = orjson.dumps({name: value for name, value in held.items() if value is not None})
    return PREFIX + base64.urlsafe_b64encode(body).decode()


def unpack(sealed: str, text: str | None = None) -> Thought | None:
    """The thought that ``pack`` packed, with its text; None when ``sealed`` is not of our making."""
    if not sealed.startswith(PREFIX):
        return None
    try:
        held = orjson.loads(base64.urlsafe_b64decode(sealed.removeprefix(PREFIX)))
    except (binascii.Error, ValueError):
        return None
    if not isinstance(held, dict):
        return None
    return Thought(
        text,
        _string(held.get("s")),
        _string(held.get("w")),
        _string(held.get("i")),
        _string(held.get("c")),
        held.get("r") is True,
    )


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def details(thoughts: list[Thought]) -> list[dict[str, Any]]:
    """``reasoning_details`` of a message in the OpenAI chat form, as OpenRouter introduced the field."""
    found = []
    for index, thought in enumerate(thoughts):
        kind = "reasoning.text" if thought.text is not None else "reasoning.encrypted"
        held = {
            "type": kind,
            "text": thought.text,
            "signature" if thought.text is not None else "data": thought.seal,
            "format": thought.wire,
            "id": thought.id,
            "call_id": thought.call_id,
            "redacted": thought.redacted or None,
        }
        found.append({**{name: value for name, value in held.items() if value is not None}, "index": index})
    return found


def thoughts_of(found: object) -> list[Thought]:
    """The thoughts of ``reasoning_details``."""
    thoughts = []
    for each in found if isinstance(found, list) else ():
        if not isinstance(each, dict) or not str(each.get("type", "")).startswith("reasoning."):
            continue
        text = each.get("text", each.get("summary"))
        seal = each.get("signature", each.get("data"))
        thoughts.append(
            Thought(
                _string(text),
                _string(seal),
                _string(each.get("format")),
                _string(each.get("id")),
                _string(each.get("call_id")),
                each.get("redacted") is True,
            )
        )
    return thoughts
