"""What is wrong with a request to the control API, in words: where, what, and what may have been meant."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import TypeAdapter

Schema = Mapping[str, Any]
Location = tuple[str | int, ...]

BODY: Final = "body"
NO_OBJECT: Final = frozenset({"model_attributes_type", "model_type", "dict_type"})


def described(problems: Sequence[Mapping[str, Any]], body: Any) -> str:
    """One sentence for each of pydantic's problems; ``body`` is the type that the route takes, or None."""
    schema = {} if body is None else TypeAdapter(body).json_schema()
    return "; ".join(_sentence(problem, schema) for problem in problems)


def _sentence(problem: Mapping[str, Any], schema: Schema) -> str:
    kind, location = problem["type"], problem["loc"]
    place = _place(schema, location, unknown=kind == "extra_forbidden")
    if kind == "json_invalid":
        return f"{BODY}: no valid JSON at character {location[-1] + 1}: {problem['ctx']['error']}"
    if kind in NO_OBJECT and location == (BODY,):
        return f"{BODY} must be a JSON object, sent with 'Content-Type: application/json'"
    if kind == "extra_forbidden":
        return f"{place}: there is no such field; {_meant(str(location[-1]), _known(schema, location[:-1]))}"
    if kind == "value_error":
        return f"{place}: {problem['ctx']['error']}"
    meanings = [each["description"] for each in _at(schema, location) if "description" in each]
    if kind == "string_pattern_mismatch" and meanings:
        return f"{place}: {problem['msg']} ({meanings[0]})"
    return f"{place}: {problem['msg']}"


def _place(schema: Schema, location: Location, *, unknown: bool) -> str:
    """The path as the caller wrote it, without the names that pydantic gives to the members of a union.

    Args:
        unknown: the last step is a field that there is not.
    """
    steps = list(location)
    if location[0] == BODY:
        last = len(location) - 1
        steps = [
            part
            for position, part in enumerate(location)
            if position == 0
            or isinstance(part, int)
            or (unknown and position == last)
            or any(_inside(each, part) for each in _at(schema, location[:position]))
        ]
    return ".".join(map(str, steps))


def _meant(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3)
    return f"did you mean {', '.join(near)}?" if near else f"known are {', '.join(known)}"


def _known(schema: Schema, location: Location) -> list[str]:
    """Names of the fields that there are at a place."""
    return sorted({name for each in _at(schema, location) for name in each.get("properties", {})})


def _at(schema: Schema, location: Location) -> list[Schema]:
    """Schemas of a place in the body: several where it may be one of several. A union's own steps lead nowhere."""
    here = list(_alternatives(schema, schema))
    for part in location[1:]:
        there = [inner for each in here for inner in _inside(each, part)]
        here = [found for inner in there for found in _alternatives(inner, schema)] or here
    return here


def _inside(schema: Schema, part: str | int) -> list[Schema]:
    if isinstance(part, int):
        found = schema.get("items")
    else:
        found = schema.get("properties", {}).get(part, schema.get("additionalProperties"))
    return [found] if isinstance(found, Mapping) else []


def _alternatives(schema: Schema, root: Schema) -> Iterator[Schema]:
    if "$ref" in schema:
        yield from _alternatives(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
        return
    inner = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if not inner:
        yield schema
    for each in inner:
        yield from _alternatives(each, root)
