"""``python -m libs.models.tests.token_weights``: fits the weights of ``fairlead_models.tokens`` to o200k, and judges them.

``--words`` first writes ``words.txt`` anew from the vocabulary. Texts: the prompts of ``../shared/data``, and pieces of
Python, Markdown and JSON from the interpreter's own library and the installed packages. Every second text is fitted to,
the others judge. The weights minimise the mean of the relative errors' sizes (iteratively reweighted least squares).
"""

import random
import re
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import orjson
from fairlead_models import tokens
from numpy.typing import NDArray
from rs_bpe import openai

DATA = Path(__file__).parents[3] / ".." / "shared" / "data"
LAST_WORD = 199_990
"""Beyond it the vocabulary has control tokens."""
PIECES = (120, 300, 800, 2000)
"""Characters of a piece of a file."""
SMALL = 4
"""Texts of fewer tokens count as if they had so many: one token more or less cannot be foreseen."""
ROUNDS, FLOOR = 20, 0.02

Matrix = NDArray[np.float64]
ENCODING = openai.o200k_base()


def judged(text: str) -> int:
    """Tokens of a text by the vocabulary itself."""
    return len(ENCODING.encode(text))


def vocabulary() -> list[str]:
    """Words that are one token, in lower case, whatever the case they have there."""
    whole = re.compile(r" [A-Za-z]+")
    return sorted({text[1:].lower() for text in map(_token, range(LAST_WORD)) if whole.fullmatch(text)})


def _token(number: int) -> str:
    try:
        return ENCODING.decode([number]) or ""
    except UnicodeDecodeError:
        return ""


def pieces(files: Iterable[Path], most: int, draw: random.Random) -> list[str]:
    """Pieces of files, at places drawn at random."""
    found: list[str] = []
    order = sorted(files)
    draw.shuffle(order)
    for path in order:
        text = path.read_text(encoding="utf-8", errors="ignore")
        for _ in range(2 if len(text) > max(PIECES) else 0):
            start = draw.randrange(len(text) - max(PIECES))
            found.append(text[start : start + draw.choice(PIECES)])
        if len(found) >= most:
            break
    return found


def texts() -> dict[str, list[str]]:
    """ASCII texts by what they are, in an order drawn at random."""
    draw = random.Random(5)
    library, packages = (Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib"))
    found = {
        "prompts of LLMRouter": [
            each["question"] for each in orjson.loads((DATA / "llmrouter" / "train.json").read_bytes())
        ],
        "GSM8K prompts": _prompts("gsm"),
        "CRUXEval prompts (code)": _prompts("crux"),
        "Python": pieces(library.glob("*.py"), 1500, draw),
        "Markdown": pieces(packages.glob("*/METADATA"), 800, draw),
        "JSON": pieces(packages.rglob("*.json"), 300, draw),
    }
    for each in found.values():
        draw.shuffle(each)
    return {name: [text for text in each if text and text.isascii()] for name, each in found.items()}


def _prompts(name: str) -> list[str]:
    with (DATA / "zeroeval" / f"prompts_{name}.jsonl").open(encoding="utf-8") as lines:
        return [orjson.loads(line)["prompt"] for line in lines]


def fitted(given: Sequence[str]) -> Matrix:
    """The weights that fit these texts best."""
    features = np.array([tokens.counts(text.encode()) for text in given], dtype=np.float64)
    wanted = np.array([judged(text) for text in given], dtype=np.float64)
    size = np.maximum(wanted, SMALL)
    trust, weights = 1 / size, size
    for _ in range(ROUNDS):
        scaled = features * trust[:, None]
        weights = np.linalg.lstsq(scaled, wanted * trust, rcond=None)[0]
        errors = np.abs(features @ weights - wanted) / size
        trust = 1 / size / np.sqrt(np.maximum(errors, FLOOR))
    return weights


def row(name: str, given: Sequence[str]) -> str:
    """A line of the table: how exact the weights in use are on texts they were not fitted to."""
    found = np.array([tokens.text_tokens(text) for text in given])
    wanted = np.array([judged(text) for text in given])
    errors = np.abs(found - wanted) / wanted
    total = found.sum() / wanted.sum() - 1
    return f"| {name} | {len(given)} | {total:+.1%} | {errors.mean():.1%} | {(errors <= 0.1).mean():.1%} |\n"


def main(arguments: Sequence[str]) -> None:
    """Write the words if asked to; print the weights and the table."""
    if "--words" in arguments:
        tokens.WORDS.write_text("\n".join(vocabulary()) + "\n", encoding="ascii")
        tokens.known_words.cache_clear()
    found = texts()
    weights = fitted([text for each in found.values() for text in each[::2]])
    sys.stdout.write(f"WEIGHTS = ({', '.join(f'{weight:.3f}' for weight in weights)})\n")
    sys.stdout.write(
        "| text | number | error of the sum | mean error per text | within 10 % |\n|---|---|---|---|---|\n"
    )
    for name, each in found.items():
        sys.stdout.write(row(name, each[1::2]))


if __name__ == "__main__":
    main(sys.argv[1:])
