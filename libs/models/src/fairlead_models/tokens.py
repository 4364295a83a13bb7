"""How many tokens a request will cost, before it is sent, offline: linear in the bytes.

The text is counted by what a byte-pair vocabulary splits at: words, numbers, runs of signs, line ends; other scripts by
their letters. Words are looked up among those that OpenAI's o200k has as one token; the others cost by their length. The
weights are fitted to o200k by ``python -m libs.models.tests.token_weights``; how exact they are stands in
``docs/model-api.md``. Other vendors' vocabularies differ by up to a third.
"""

from functools import cache
from itertools import filterfalse
from operator import mul
from pathlib import Path
from string import ascii_letters, digits, punctuation

import orjson

from fairlead_models.unified import AudioPart, ChatRequest, FilePart, ImagePart, Message, Part, TextPart

TOKENS_PER_MESSAGE = 4
TOKENS_PER_TOOL = 8
TOKENS_PER_IMAGE = 800
TOKENS_PER_SMALL_IMAGE = 100
TOKENS_PER_FILE = 3000
TOKENS_PER_AUDIO = 500

SAMPLED_ABOVE = 16 * 1024
SAMPLES, SAMPLE = 16, 1024
"""Characters of a text that is sampled: above how many, how many samples, of which size."""


def _marks(wanted: str, mark: str) -> bytes:
    """A table that turns the wanted ASCII characters into ``mark`` and everything else into blanks."""
    return bytes(ord(mark) if chr(code) in wanted else 32 for code in range(256))


DIGITS = _marks(digits, "0")
LOWER = bytes(ord(chr(code).lower()) if chr(code) in ascii_letters else 32 for code in range(256))
KINDS = bytes(
    ord(
        "a"
        if chr(code) in ascii_letters
        else "0"
        if chr(code) in digits
        else "."
        if chr(code) in punctuation
        else "\n"
        if code in b"\r\n"
        else " "
    )
    for code in range(256)
)
"""Each ASCII character as the kind of character it is."""

WORDS = Path(__file__).with_name("words.txt")

WEIGHTS: tuple[float, ...] = (
    1.001,
    0.522,
    0.096,
    0.936,
    1.100,
    0.983,
    -0.991,
    0.513,
    -0.547,
    0.783,
    -0.982,
    -0.238,
)
"""Tokens per count of ``counts``."""

SCRIPTS: tuple[tuple[range, float], ...] = (
    (range(0xC2, 0xCA), 1.6),  # Latin letters with marks; they break words apart
    (range(0xCA, 0xCE), 1.0),
    (range(0xCE, 0xD0), 0.41),  # Greek
    (range(0xD0, 0xD4), 0.34),  # Cyrillic
    (range(0xD4, 0xD6), 0.5),  # Armenian
    (range(0xD6, 0xD8), 0.49),  # Hebrew
    (range(0xD8, 0xE0), 0.39),  # Arabic
    (range(0xE0, 0xE1), 0.41),  # Indic scripts, Thai
    (range(0xE1, 0xE2), 0.4),  # Georgian, Vietnamese
    (range(0xE2, 0xE3), 0.85),  # typographic signs
    (range(0xE3, 0xEE), 0.79),  # Japanese, Chinese, Korean
    (range(0xEE, 0xF0), 0.9),  # full-width forms
    (range(0xF0, 0xF5), 1.8),  # emoji
)
"""Tokens per character, by the first byte of its UTF-8 form."""


def _script_table() -> bytes:
    table = bytearray(256)
    for place, (leads, _) in enumerate(SCRIPTS, 1):
        for lead in leads:
            table[lead] = place
    return bytes(table)


SCRIPT_OF = _script_table()


def text_tokens(text: str) -> float:
    """Tokens of a text, estimated; of a very long one from samples, so that no prompt holds up the others."""
    if len(text) > SAMPLED_ABOVE:
        step = len(text) // SAMPLES
        samples = [text[at : at + SAMPLE] for at in range(0, step * SAMPLES, step)]
        return sum(map(_text_tokens, samples)) * len(text) / (SAMPLE * SAMPLES)
    return _text_tokens(text)


def _text_tokens(text: str) -> float:
    if text.isascii():
        return _ascii(text.encode())
    data = text.encode("utf-8", "replace")
    scripts = data.translate(SCRIPT_OF)
    other = sum(scripts.count(place) * ratio for place, (_, ratio) in enumerate(SCRIPTS, 1))
    return other + _ascii(text.encode("ascii", "ignore"))


def _ascii(data: bytes) -> float:
    total: float = sum(map(mul, WEIGHTS, counts(data)))
    return max(0.0, total)


def counts(data: bytes) -> tuple[int, ...]:
    """What an ASCII text has of everything that costs tokens, in the order of ``WEIGHTS``."""
    kinds = data.translate(KINDS)
    words = data.translate(LOWER).split()
    missing = list(filterfalse(known_words().__contains__, words))
    numbers = data.translate(DIGITS).split() if b"0" in kinds else []
    lines = kinds.count(b"\n")
    return (
        len(words),
        len(missing),
        len(b"".join(missing)),
        sum((len(number) + 2) // 3 for number in numbers),
        kinds.count(b" 0") if numbers else 0,
        kinds.count(b"."),
        kinds.count(b".."),
        kinds.count(b" ."),
        kinds.count(b".a"),
        lines,
        kinds.count(b"\n\n") if lines else 0,
        kinds.count(b".\n") if lines else 0,
    )


@cache
def known_words() -> frozenset[bytes]:
    """Words that are one token, in lower case."""
    return frozenset(WORDS.read_bytes().split())


def estimate_tokens(request: ChatRequest) -> int:
    """Input tokens of a whole request, at least 1: its texts, and fixed numbers for what is not text."""
    total = sum(map(_message_tokens, request.messages))
    for tool in request.tools:
        total += TOKENS_PER_TOOL + text_tokens(f"{tool.name} {tool.description or ''}")
        total += text_tokens(orjson.dumps(tool.parameters).decode()) if tool.parameters else 0
    if request.response_format is not None and request.response_format.schema is not None:
        total += text_tokens(orjson.dumps(request.response_format.schema).decode())
    return max(1, round(total))


def _message_tokens(message: Message) -> float:
    content = message.content
    total: float = TOKENS_PER_MESSAGE
    if isinstance(content, str):
        total += text_tokens(content)
    elif content is not None:
        total += sum(map(_part_tokens, content))
    for call in message.tool_calls:
        total += TOKENS_PER_TOOL + text_tokens(call.name) + text_tokens(call.arguments)
    return total + sum(text_tokens(thought.text) for thought in message.thoughts if thought.text)


def _part_tokens(part: Part) -> float:
    if isinstance(part, TextPart):
        return text_tokens(part.text)
    if isinstance(part, ImagePart):
        return TOKENS_PER_SMALL_IMAGE if part.detail == "low" else TOKENS_PER_IMAGE
    if isinstance(part, FilePart):
        return TOKENS_PER_FILE
    if isinstance(part, AudioPart):
        return TOKENS_PER_AUDIO
    return text_tokens(str(part.raw))
