"""JSON Schemas in the subset that Anthropic's structured outputs accept.

Objects must say ``additionalProperties: false``; keywords that the API refuses are told to the model in a description
instead, as Anthropic's own SDK does, and named, since they are not enforced.
"""

from typing import Any

FORMATS = frozenset("date-time time date duration email hostname uri ipv4 ipv6 uuid".split())
KEPT = frozenset(
    "$ref $defs definitions type enum const anyOf allOf description title properties required items default"
    " additionalProperties format minItems".split()
)


def closed(schema: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """(schema in the subset, keywords that are described but not enforced)."""
    lost: list[str] = []
    return _closed(schema, lost), sorted(set(lost))


def _closed(schema: dict[str, Any], lost: list[str]) -> dict[str, Any]:
    found = {name: value for name, value in schema.items() if name in KEPT}
    told = {name: value for name, value in schema.items() if name not in KEPT and not name.startswith("$")}
    if isinstance(variants := told.pop("oneOf", None), list):
        found.setdefault("anyOf", variants)
    if "format" in found and found["format"] not in FORMATS:
        told["format"] = found.pop("format")
    if "minItems" in found and found["minItems"] not in (0, 1):
        told["minItems"] = found.pop("minItems")
    for name in ("$defs", "definitions", "properties"):
        if isinstance(found.get(name), dict):
            found[name] = {key: _inner(value, lost) for key, value in found[name].items()}
    for name in ("anyOf", "allOf"):
        if isinstance(found.get(name), list):
            found[name] = [_inner(value, lost) for value in found[name]]
    if "items" in found:
        found["items"] = _inner(found["items"], lost)
    if found.get("type") == "object" or "properties" in found:
        if found.get("additionalProperties", False) is not False:
            lost.append("additionalProperties")
        found["additionalProperties"] = False
    if told:
        lost += told
        listed = ", ".join(f"{name}: {value}" for name, value in told.items())
        found["description"] = "\n\n".join(filter(None, (found.get("description"), f"{{{listed}}}")))
    return found


def _inner(value: Any, lost: list[str]) -> Any:
    return _closed(value, lost) if isinstance(value, dict) else value
