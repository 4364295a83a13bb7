"""How good one answer is: hard gates, likeness to a reference, validity of JSON. Every component by scorer and version.

What cannot be judged is None, never zero. Likeness between the arms is a matter of the analysis, not of one answer.
"""

import json
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any, Final

import jsonschema_rs
from rapidfuzz.distance import LCSseq

MAX_TOKENS: Final = 4000
"""Beyond this many tokens likeness is judged on the beginning; its cost grows with the product of the lengths."""

REFUSAL: Final = re.compile(
    r"^\W*(?:(?:i'?m|i am)\s+(?:very\s+|truly\s+|really\s+)?sorry,?\s*(?:but\s+)?)?(?:i\s+|we\s+)"
    r"(?:can'?t|cannot|can\s+not|am\s+unable\s+to|'?m\s+unable\s+to|am\s+not\s+able\s+to|'?m\s+not\s+able\s+to|won'?t|will\s+not)\s+"
    r"(?:help|assist|provide|comply|fulfil|fulfill|answer|create|write|generate|engage|do\s+that|support|discuss|share)\b"
    r"|^\W*as\s+an\s+ai\b[^.]{0,80}\b(?:can'?t|cannot|unable|not\s+able)\b",
    re.IGNORECASE,
)
NUMBER: Final = re.compile(r"(?:(?<!\w)[-+])?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?")
TOKEN: Final = re.compile(r"\w+")
ARTICLES: Final = frozenset(("a", "an", "the"))
FENCE: Final = re.compile(r"^```[a-zA-Z]*\n(.*?)\n?```$", re.DOTALL)


@dataclass(frozen=True)
class Given:
    """One answer, and what it is judged by."""

    text: str
    finish_reason: str | None = None
    refusal: bool = False
    tool_called: bool = False
    reference: str | None = None
    wants_json: bool = False
    schema: dict[str, Any] | None = None


@dataclass(frozen=True)
class Score:
    """``quality`` 0 to 1, None = nothing to judge by; ``components`` by ``scorer@version``."""

    quality: float | None
    components: dict[str, float] = field(default_factory=dict)


def score(given: Given) -> Score:
    """Judge one answer. A gate that fails makes the quality 0, where there is a quality at all."""
    components = gates(given)
    passed = all(components.values())
    json_parts, likeness = _json(given), _reference(given)
    components |= json_parts | likeness
    if given.reference is None and not json_parts:
        return Score(None, components)
    if not passed or not all(json_parts.values()):
        return Score(0.0, components)
    return Score(max(likeness.values()) if likeness else 1.0, components)


def gates(given: Given) -> dict[str, float]:
    """1 = passed: it ended by itself, it says something, it is no refusal."""
    ended = given.finish_reason in (None, "stop", "tool_calls")
    says_something = bool(given.text.strip()) or given.tool_called
    refused = (
        given.refusal or given.finish_reason == "content_filter" or bool(REFUSAL.match(given.text.strip()))
    )
    return {
        "gate.ended@1": float(ended),
        "gate.not_empty@1": float(says_something),
        "gate.not_refused@1": float(not refused),
    }


def _reference(given: Given) -> dict[str, float]:
    if given.reference is None:
        return {}
    wanted, found = normalised(given.reference), normalised(given.text)
    parts = {"match.exact@1": float(wanted == found)}
    number = number_of(given.reference)
    if number is not None:
        parts["match.number@1"] = float(last_number(given.text) == number)
        return parts
    if (expected := _parsed(given.reference)) is not None and given.wants_json:
        parts["match.json@1"] = float(_parsed(given.text) == expected)
    wanted_tokens, found_tokens = wanted.split(), found.split()
    parts["match.contains@1"] = float(_contains(found_tokens, wanted_tokens))
    parts["match.rouge_l@1"] = rouge_l(wanted_tokens, found_tokens)
    return parts


def _json(given: Given) -> dict[str, float]:
    if not given.wants_json:
        return {}
    try:
        value = json.loads(given.text)
    except ValueError:
        return {"json.valid@1": 0.0} | ({} if given.schema is None else {"json.schema@1": 0.0})
    if given.schema is None:
        return {"json.valid@1": float(isinstance(value, dict))}
    return {"json.valid@1": 1.0, "json.schema@1": float(validator(given.schema).is_valid(value))}


class SchemaError(ValueError):
    """A JSON Schema that cannot be used; the message says why."""


def validator(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    """A validator of ``schema``; a reference to another document is refused, not fetched.

    Raises:
        SchemaError: not a schema.
    """
    try:
        return jsonschema_rs.validator_for(schema, retriever=_nothing_elsewhere)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise SchemaError(str(error).split("\n")[0][:300]) from error


def _nothing_elsewhere(uri: str) -> Any:
    raise ValueError(f"'{uri}' is another document; put it into the schema itself")


def normalised(text: str) -> str:
    """Lower case, words only, without articles and accents: what "the same answer" means for short texts (as SQuAD does)."""
    folded = unicodedata.normalize("NFKD", _unfenced(text)).casefold()
    words = TOKEN.findall("".join(c for c in folded if not unicodedata.combining(c)))
    return " ".join(word for word in words if word not in ARTICLES)


def _unfenced(text: str) -> str:
    found = FENCE.match(text.strip())
    return found[1] if found else text


def number_of(text: str) -> float | None:
    """The number that ``text`` is, with or without a currency or percent sign; None when it is anything else."""
    bare = text.strip().strip("$€£%").strip().rstrip(".")
    return _as_number(bare) if NUMBER.fullmatch(bare) else None


def last_number(text: str) -> float | None:
    """The last number in ``text``, which is where an answer that reasons puts its result."""
    found = NUMBER.findall(text)
    return _as_number(found[-1]) if found else None


def _as_number(text: str) -> float:
    return round(float(text.replace(",", "")), 9)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _contains(tokens: list[str], wanted: list[str]) -> bool:
    size = len(wanted)
    return size > 0 and any(tokens[i : i + size] == wanted for i in range(len(tokens) - size + 1))


def rouge_l(wanted: list[str], found: list[str]) -> float:
    """ROUGE-L F1 (Lin 2004): longest common subsequence of tokens, harmonic mean of its shares. 0 for an empty side."""
    wanted, found = wanted[:MAX_TOKENS], found[:MAX_TOKENS]
    if not wanted or not found:
        return 0.0
    common = LCSseq.similarity(wanted, found)
    return 2 * common / (len(wanted) + len(found))


def likeness(first: str, second: str) -> float:
    """How alike two answers are, 0 to 1: ROUGE-L F1 of their words."""
    one, other = normalised(first), normalised(second)
    return 1.0 if one == other else rouge_l(one.split(), other.split())
