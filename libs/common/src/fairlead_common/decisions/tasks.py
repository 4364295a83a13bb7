"""Which kind of task a prompt is, by the words in it: fast, offline, and every reason can be read below.

Each class has patterns with a weight; each pattern counts at most ``MOST`` times. The class with the largest sum wins
when it reaches ``LEAST``; otherwise the prompt is ``chat`` when it is short, and ``unknown`` when it is not. The wish for
an answer in JSON says nothing of the task and does not count.
"""

import re
from typing import Final

MAX_CHARS: Final = 3000
"""Read from the front; as many from the end when the prompt is longer than twice that."""
MOST: Final = 3
LEAST: Final = 2.0
CHAT_CHARS: Final = 200

PATTERNS: Final[tuple[tuple[str, float, re.Pattern[str]], ...]] = tuple(
    (task, weight, re.compile(pattern, re.MULTILINE))
    for task, weight, pattern in (
        (
            "code",
            2.0,
            r"^```(?:python|py|js|ts|java|cpp|go|rust|sql|sh|bash)\b|^[ \t]{0,40}(?:def|class|assert|const) \S",
        ),
        ("code", 2.0, r"\b(?:python|javascript|typescript|java|rust|golang|c\+\+|sql|bash|regex)\b"),
        (
            "code",
            1.5,
            r"\b(?:unit tests?|stack trace|compile|refactor|debug|snippet|pull request|source code)\b",
        ),
        ("code", 1.0, r"\b(?:function|code|program|script|api|bug|exception)\b"),
        (
            "math",
            2.0,
            r"\b(?:theorem|integral|derivative|equation|polynomial|probability|geometry|algebra)\b",
        ),
        ("math", 1.5, r"\bhow (?:many|much|far|long|old)\b|\bwhat (?:percent|fraction)"),
        (
            "math",
            1.0,
            r"\b(?:solve|calculate|compute|sum|average|total|twice|half)\b|\d\s*[-+*/^=]\s*\d|[$]\d|\d\s?%",
        ),
        ("math", 0.5, r"\b(?:\d+|two|three|four|five|six|seven|eight|nine|ten|dozen)\b"),
        (
            "reasoning",
            2.0,
            r"\bclues?\b|\bpuzzle\b|\briddle\b|\bdeduce|\blogical(?:ly)?\b|\bwhich of the following\b",
        ),
        (
            "reasoning",
            1.0,
            r"\b(?:infer|premise|hypothesis|conclusion|therefore|true or false|step by step)\b",
        ),
        (
            "extraction",
            2.0,
            r"\bextract\b|\bclassify\b|\blabel (?:the|each|this)\b|\bnamed entit|\bfill (?:in )?the schema",
        ),
        ("extraction", 1.0, r"\b(?:schema|entities|category|categories|sentiment)\b"),
        ("summarisation", 3.0, r"\bsummar(?:y|i[sz]e|i[sz]ing|ies)\b|\btl;?dr\b"),
        (
            "summarisation",
            2.0,
            r"\bkey points\b|\bmain ideas?\b|\bcondense\b|\bin (?:one|two|three|a few) sentences?\b",
        ),
        ("translation", 3.0, r"\btranslat(?:e|ion|ing)\b|\bübersetz|\btradu(?:ce|cir|ire|isez)\b"),
        (
            "translation",
            1.5,
            r"\b(?:into|to|in) (?:english|german|french|spanish|italian|chinese|japanese|portuguese)\b",
        ),
        ("creative", 2.0, r"\b(?:poem|story|haiku|lyrics|screenplay|limerick|novel|sonnet|fairy tale)\b"),
        ("creative", 1.0, r"\b(?:write|compose|invent|imagine|slogan|brainstorm)\b"),
    )
)
TASKS: Final = (*dict.fromkeys(task for task, _, _ in PATTERNS), "chat", "unknown")


def task_of(prompt: str) -> str:
    """One of ``TASKS``."""
    text = prompt if len(prompt) <= 2 * MAX_CHARS else f"{prompt[:MAX_CHARS]}\n{prompt[-MAX_CHARS:]}"
    text = text.lower()
    sums: dict[str, float] = {}
    for task, weight, pattern in PATTERNS:
        count = 0
        for _ in pattern.finditer(text):
            count += 1
            if count == MOST:
                break
        sums[task] = sums.get(task, 0.0) + weight * count
    best = max(sums, key=lambda task: sums[task])
    if sums[best] >= LEAST:
        return best
    return "chat" if len(prompt) <= CHAT_CHARS else "unknown"
