"""A value for a JSON Schema, and what is wrong with a schema. The OpenAPI dialect of Gemini is understood as well."""

import math
import random
from collections.abc import Callable
from typing import Any

from fairlead_simulator.patterns import matching

TYPES = frozenset(["object", "array", "string", "number", "integer", "boolean", "null"])
DEEP = 6
"""From this depth on optional properties and elements are left out, so that recursive schemas come to an end."""
WORDS = ("amber", "basil", "cedar", "delta", "ember", "fjord", "grove", "harbour")
FORMATS = {
    "date": "2026-11-25",
    "date-time": "2026-11-25T09:30:00Z",
    "time": "09:30:00Z",
    "duration": "PT30M",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.7",
    "ipv6": "2001:db8::7",
    "uri": "https://example.com/page",
    "uuid": "6f1c2f0e-3b1a-4c7d-9a55-0d4c5b8e7a21",
}


def value_of(schema: dict[str, Any], draw: random.Random) -> Any:
    """A small value that satisfies ``schema``; the same for the same state of ``draw``."""
    return _Maker(schema, draw).value(schema, 0)


class _Maker:
    def __init__(self, root: dict[str, Any], draw: random.Random) -> None:
        self._root = root
        self._draw = draw

    def value(self, schema: Any, depth: int) -> Any:
        if not isinstance(schema, dict):
            return self._draw.choice(WORDS)
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._draw.choice(schema["enum"])
        for name in ("anyOf", "oneOf"):
            if schema.get(name):
                rest = {key: each for key, each in schema.items() if key != name}
                return self.value(_merged(rest, self._alternative(schema[name], depth)), depth)
        return self._typed(schema, depth)

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        while isinstance(schema.get("$ref"), str):
            target = lookup(self._root, schema["$ref"])
            rest = {key: each for key, each in schema.items() if key != "$ref"}
            schema = _merged(rest, target if isinstance(target, dict) else {})
        if schema.get("allOf"):
            rest = {key: each for key, each in schema.items() if key != "allOf"}
            for each in schema["allOf"]:
                rest = _merged(rest, self._resolved(each))
            return rest
        return schema

    def _alternative(self, options: list[Any], depth: int) -> dict[str, Any]:
        known = [self._resolved(each) for each in options if isinstance(each, dict)]
        flat = [each for each in known if "properties" not in each and "items" not in each]
        found: dict[str, Any] = self._draw.choice(flat if depth >= DEEP and flat else known)
        return found

    def _typed(self, schema: dict[str, Any], depth: int) -> Any:
        kind = self._kind(schema, depth)
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, depth)
        if kind in ("number", "integer"):
            return self._number(schema, whole=kind == "integer")
        if kind == "boolean":
            return self._draw.random() < 0.5
        return None if kind == "null" else self._string(schema)

    def _kind(self, schema: dict[str, Any], depth: int) -> str:
        kind = schema.get("type")
        if isinstance(kind, list):
            simple = [each for each in kind if each not in ("object", "array", "null")]
            kind = "null" if depth >= DEEP and "null" in kind else (simple or kind)[0]
        if kind:
            return str(kind).lower()
        if "properties" in schema or "additionalProperties" in schema:
            return "object"
        if "items" in schema or "prefixItems" in schema:
            return "array"
        return "number" if "minimum" in schema or "maximum" in schema else "string"

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties: dict[str, Any] = schema.get("properties") or {}
        required = schema.get("required") or []
        names = [name for name in properties if depth < DEEP or name in required]
        names += [name for name in required if name not in properties]
        more = schema.get("additionalProperties")
        found = {name: self.value(properties.get(name, more), depth + 1) for name in names}
        missing = int(schema.get("minProperties") or 0) - len(found)
        if not properties and isinstance(more, dict):
            missing = max(missing, 1)
        for position in range(missing):
            found[f"{WORDS[position % len(WORDS)]}{position}"] = self.value(more, depth + 1)
        return found

    def _array(self, schema: dict[str, Any], depth: int) -> list[Any]:
        first = schema.get("prefixItems") or []
        low = int(schema.get("minItems") or 0)
        high = int(schema["maxItems"]) if schema.get("maxItems") is not None else low + 3
        length = low if depth >= DEEP else max(low, min(high, 2))
        items = schema.get("items")
        if items is False or (first and "items" not in schema):
            length = min(length, len(first))
        found = [self.value(first[i] if i < len(first) else items, depth + 1) for i in range(length)]
        return self._distinct(found, items, depth) if schema.get("uniqueItems") else found

    def _distinct(self, found: list[Any], items: Any, depth: int) -> list[Any]:
        kept: list[Any] = []
        for each in found:
            candidate = each
            for _ in range(50):
                if candidate not in kept:
                    kept.append(candidate)
                    break
                candidate = self.value(items, depth + 1)
        return kept

    def _number(self, schema: dict[str, Any], *, whole: bool) -> int | float:
        low, open_low = _bound(schema.get("minimum"), schema.get("exclusiveMinimum"), max)
        high, open_high = _bound(schema.get("maximum"), schema.get("exclusiveMaximum"), min)
        step = schema.get("multipleOf") or (1 if whole else None)
        if step is None:
            return self._between(low, high)
        first = None if low is None else math.floor(low / step) + 1 if open_low else math.ceil(low / step)
        last = None if high is None else math.ceil(high / step) - 1 if open_high else math.floor(high / step)
        if first is None:
            first = 0 if last is None or last >= 0 else last - 9
        found = self._draw.randint(
            first, max(first, min(first + 99, last if last is not None else first + 99))
        )
        return int(found * step) if whole else round(found * step, 9)

    def _between(self, low: float | None, high: float | None) -> float:
        share = self._draw.randint(1, 7) / 8
        if low is not None and high is not None:
            return low + (high - low) * share
        if low is None:
            return share * 8 if high is None else min(high, 0) - share
        return low + share

    def _string(self, schema: dict[str, Any]) -> str:
        if schema.get("format") in FORMATS:
            return FORMATS[schema["format"]]
        if schema.get("pattern"):
            found = matching(str(schema["pattern"]), self._draw)
            if found is not None:
                return found
        text = self._draw.choice(WORDS)
        low = int(schema.get("minLength") or 0)
        text = text + " " + text * (low // len(text)) if len(text) < low else text
        high = schema.get("maxLength")
        return text if high is None else text[: int(high)]


def _bound(closed: Any, opened: Any, tighter: Callable[[float, float], float]) -> tuple[float | None, bool]:
    """The limit and whether it is excluded; ``exclusiveMinimum`` may be a number, or true beside ``minimum``."""
    if opened is True or opened is False or opened is None:
        return closed, opened is True
    return (opened, True) if closed is None or tighter(closed, opened) == opened else (closed, False)


def lookup(root: dict[str, Any], reference: str) -> Any:
    """What ``reference`` (``#`` or ``#/$defs/name``) points to in ``root``, or None."""
    found: Any = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step:
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    found = {**other, **one}
    for name in ("properties", "$defs"):
        if name in one and name in other:
            found[name] = {**other[name], **one[name]}
    if "required" in one and "required" in other:
        found["required"] = list(dict.fromkeys([*other["required"], *one["required"]]))
    return found


def flaw_of(schema: Any, root: Any = None, path: str = "") -> str | None:
    """What makes ``schema`` unusable, with the place (``properties/city``), or None."""
    root = schema if root is None else root
    where = path or "the schema"
    if isinstance(schema, bool):
        return None
    if not isinstance(schema, dict):
        return f"{where} is not an object"
    kinds = schema.get("type", [])
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        if str(kind).lower() not in TYPES:
            return f"{where} has the unknown type '{kind}'"
    if "$ref" in schema and lookup(root, str(schema["$ref"])) is None:
        return f"{where} refers to '{schema['$ref']}', which is not there"
    if not isinstance(schema.get("required", []), list):
        return f"'required' of {where} is not an array"
    if "enum" in schema and not (isinstance(schema["enum"], list) and schema["enum"]):
        return f"'enum' of {where} is not an array with values"
    inner = (flaw_of(each, root, place) for place, each in _children(schema, path))
    return next((flaw for flaw in inner if flaw), None)


def _children(schema: dict[str, Any], path: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name in ("properties", "$defs"):
        inner = schema.get(name, {})
        found += (
            [(f"{path}/{name}/{key}".strip("/"), each) for key, each in inner.items()]
            if isinstance(inner, dict)
            else [(f"{path}/{name}".strip("/"), inner)]
        )
    for name in ("anyOf", "oneOf", "allOf", "prefixItems"):
        inner = schema.get(name, [])
        found += (
            [(f"{path}/{name}/{key}".strip("/"), each) for key, each in enumerate(inner)]
            if isinstance(inner, list)
            else [(f"{path}/{name}".strip("/"), inner)]
        )
    if "items" in schema:
        found.append((f"{path}/items".strip("/"), schema["items"]))
    return found
