"""Going on with an answer that broke: what the next model is asked, and where its text joins what the caller has.

Some endpoints go on with a begun answer (prefill). The others are told that they were cut off, and to repeat the last
words first: what repeats them shows where the seam is, also inside of a word or of white space.
"""

import re
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final

from fairlead_models.unified import ChatRequest, Format, Message

ANCHOR_CHARACTERS: Final = 80
"""About so much of the end is to be repeated."""
LEAST_ANCHOR: Final = 16
REPEATED_CHARACTERS: Final = 16
"""A shorter piece that comes twice without having been asked for may well be meant so."""
REPEATED_LETTERS: Final = 6
"""So many different letters and digits speak against a row of dashes or of zeros."""
FIRST_UNSPACED: Final = "\u2e80"
"""From here on are the scripts that put no spaces between words."""
INSTRUCTION: Final = (
    "The connection broke while you were answering; your answer so far is above, and I have it. Go on from exactly"
    " where it ends, in the same language, style and format. Begin by repeating these last words of it exactly as they"
    " stand, then go on without any remark:\n"
)


class Handover(StrEnum):
    """How a begun answer is handed to the next model."""

    PREFILL = "prefill"
    """As the assistant's last turn; the answer goes on behind it."""
    PREFIX = "prefix"
    """The same, and the answer begins with it."""
    INSTRUCTION = "instruction"
    """In words: go on, and repeat the last words first."""


PREFILLED: Final[dict[str, tuple[Handover, re.Pattern[str]]]] = {
    "anthropic": (
        Handover.PREFILL,
        re.compile(r"claude-3.*|claude-(haiku|sonnet)-4(-5)?(-\d{8})?|claude-opus-4(-[015])?(-\d{8})?"),
    ),
    "mistral": (Handover.PREFIX, re.compile(r".*")),
}
"""By wire: which models take a begun answer, and how. Newer Claude models refuse one; most others answer it anew."""
ITEMS: Final = {Format.OPENAI_RESPONSES: "input"}
"""Where a body that came in a format has its turns, if not under ``messages``."""


def handover(request: ChatRequest, wire: str, model: str) -> Handover:
    """How ``model`` behind ``wire`` is to get a begun answer; one that is to think takes no prefill."""
    way, models = PREFILLED.get(wire, (Handover.INSTRUCTION, None))
    thinks = request.reasoning_effort not in (None, "none") or bool(request.reasoning_budget_tokens)
    if models is None or thinks or not models.fullmatch(model):
        return Handover.INSTRUCTION
    return way


def allows_continuation(request: ChatRequest) -> bool:
    """Whether the answer is plain text of which a half may come from elsewhere: one choice, no JSON, no probabilities."""
    wanted = request.response_format
    plain = wanted is None or wanted.kind == "text"
    return plain and (request.n or 1) == 1 and not request.logprobs


def continued(request: ChatRequest, partial: str, way: Handover, used_tokens: int) -> ChatRequest:
    """The request that asks for the rest.

    Args:
        partial: the answer so far; more than white space.
        used_tokens: output tokens it took, of those that the caller allows.
    """
    base = partial.rstrip()
    turns = [Message("assistant", base)]
    if way is Handover.INSTRUCTION:
        turns.append(Message("user", INSTRUCTION + anchor(base)))
    limit = request.max_output_tokens
    return replace(
        request,
        messages=[*request.messages, *turns],
        max_output_tokens=None if limit is None else max(1, limit - used_tokens),
        raw=_raw(request, turns),
    )


def _raw(request: ChatRequest, turns: list[Message]) -> dict[str, Any] | None:
    """The caller's body with the turns; all three formats write plain turns alike."""
    if request.raw is None:
        return None
    name = ITEMS.get(request.raw_format, "messages")
    before = request.raw[name]
    if isinstance(before, str):
        before = [{"role": "user", "content": before}]
    return {**request.raw, name: [*before, *({"role": each.role, "content": each.content} for each in turns)]}


def anchor(base: str) -> str:
    """The last words of ``base``, which ends with no white space."""
    tail = base[-ANCHOR_CHARACTERS:]
    if len(tail) == len(base):
        return tail
    whole = re.split(r"\s+", tail, maxsplit=1)[-1]
    return whole if len(whole) >= LEAST_ANCHOR else tail


def joined(partial: str, opening: str, way: Handover, *, ended: bool) -> str | None:
    """What of ``opening`` goes out behind ``partial``, or None while more of it must be seen to tell.

    What repeats the end of ``partial`` is left out, the longest such piece; white space at the seam comes once. A text
    that repeats itself by nature is ambiguous there: then what was asked to be repeated counts as repeated.

    Args:
        opening: all that the next model has said so far.
        ended: it says nothing more.
    """
    base = partial.rstrip()
    said = opening.lstrip()
    undecided = not said or base.find(said, 0, max(0, len(base) - 1)) >= 0
    if undecided and not ended:
        return None
    size = _overlap(base, said)
    repeated = size > 0 and _repeats(base, said[:size], way)
    rest = said[size:] if repeated else opening
    blank = rest[: len(rest) - len(rest.lstrip())]
    if len(blank) == len(rest) and not ended:
        return None
    if not repeated and way is Handover.INSTRUCTION and base == partial and not blank:
        return f" {rest}" if _words_meet(base, rest) else rest
    trailing = partial[len(base) :]
    return rest[len(trailing) :] if blank.startswith(trailing) else rest[len(blank) :]


def _overlap(base: str, said: str) -> int:
    """Length of the longest beginning of ``said`` that ``base`` ends with."""
    place = base.find(said[0], max(0, len(base) - len(said))) if said else -1
    while place >= 0:
        if said.startswith(base[place:]):
            return len(base) - place
        place = base.find(said[0], place + 1)
    return 0


def _repeats(base: str, overlap: str, way: Handover) -> bool:
    """Whether a piece that both have was said twice, and is not the same twice by chance or by the text's nature."""
    if way is Handover.PREFIX and len(overlap) == len(base):
        return True
    if way is Handover.INSTRUCTION and len(overlap) >= len(anchor(base)):
        return True
    rich = len({each for each in overlap if each.isalnum()}) >= REPEATED_LETTERS
    return len(overlap) >= REPEATED_CHARACTERS and rich and overlap not in base[: -len(overlap)]


def _words_meet(base: str, rest: str) -> bool:
    """Two words, or a sentence and a word, that a space must keep apart."""
    if not base or not rest or max(base[-1], rest[0]) >= FIRST_UNSPACED:
        return False
    return rest[0].isalnum() and (base[-1].isalnum() or base[-1] in ".,;:!?")
