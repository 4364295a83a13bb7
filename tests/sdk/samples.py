"""What the tests of all SDKs ask with: tools, a schema, a picture."""

import base64
from typing import Any

from pydantic import BaseModel

CITY: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 7}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
PLACE: dict[str, Any] = {
    "type": "object",
    "properties": {"kind": {"enum": ["street", "river"]}},
    "required": ["kind"],
    "additionalProperties": False,
}
BOTH = "Please call get_weather and find_place."
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SEEN = "a PNG of 1 x 1 pixels"
LONG = "A careful comparison keeps the prompts equal. " * 400
"""Long enough for every vendor's prompt cache."""


class Step(BaseModel):
    """A part of ``Plan``."""

    title: str
    hours: float


class Plan(BaseModel):
    """What structured output is asked for: nested, with a list and a number."""

    name: str
    steps: list[Step]
    urgent: bool
