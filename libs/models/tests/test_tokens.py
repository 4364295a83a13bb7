"""The estimate of tokens, judged by OpenAI's own vocabulary (rs-bpe) on the prompts of public data sets."""

import statistics
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from fairlead_models.tokens import SAMPLED_ABOVE, estimate_tokens, text_tokens
from fairlead_models.unified import (
    AudioPart,
    ChatRequest,
    FilePart,
    ImagePart,
    Message,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCall,
)
from rs_bpe import openai

from libs.models.tests.captured import ABSENT

DATA = Path(__file__).parents[3] / ".." / "shared" / "data" / "zeroeval"
ROUTER = DATA.parent / "llmrouter" / "train.json"
PROMPTS = sorted(DATA.glob("prompts_*.jsonl"))

ENGLISH = (
    "The keeper of the lighthouse had written the same sentence in his log for nineteen years, and on the evening"
    " of the storm he wrote it again, slowly, with a pencil that was too short to hold: all lamps lit, nothing seen."
)
OTHERS = {
    "de": "Der Leuchtturmwärter schrieb neunzehn Jahre lang denselben Satz in sein Buch, und am Abend des Sturms schrieb"
    " er ihn wieder.",
    "fr": "Le gardien du phare avait écrit la même phrase dans son journal pendant dix-neuf ans, et le soir de la tempête"
    " il l'écrivit encore.",
    "ru": "Смотритель маяка девятнадцать лет записывал в журнал одно и то же предложение.",
    "ja": "灯台守は十九年間、同じ文を日誌に書き続けてきたが、嵐の夜にもう一度それを書いた。",
    "zh": "灯塔看守人十九年来一直在日志里写着同一句话。在暴风雨的那个晚上他又写了一遍。",
    "ar": "كتب حارس المنارة الجملة نفسها في سجله طوال تسعة عشر عاما، وفي مساء العاصفة كتبها مرة أخرى.",
}


@pytest.fixture(scope="module")
def judged() -> Callable[[str], int]:
    encoding = openai.o200k_base()
    return lambda text: len(encoding.encode(text))


def prompts(path: Path) -> list[str]:
    with path.open(encoding="utf-8") as lines:
        return [orjson.loads(line)["prompt"] for line in lines]


@pytest.mark.parametrize("name", [path.name for path in PROMPTS] or [ABSENT])
def test_english_prompts_are_estimated_within_a_tenth(name: str, judged: Callable[[str], int]) -> None:
    if name == ABSENT:
        print(f"{DATA} is absent: only the texts in this file were judged")  # noqa: T201 - the test's only finding
        return
    found = [(text_tokens(text), judged(text)) for text in prompts(DATA / name)]
    errors = [abs(estimated - counted) / counted for estimated, counted in found]
    total = sum(estimated for estimated, _ in found) / sum(counted for _, counted in found)
    assert abs(total - 1) < 0.02
    assert statistics.mean(errors) < 0.03
    assert sum(error <= 0.10 for error in errors) / len(errors) > 0.99


def test_short_questions_are_mostly_estimated_within_a_tenth(judged: Callable[[str], int]) -> None:
    if not ROUTER.exists():
        print(f"{ROUTER} is absent: only the texts in this file were judged")  # noqa: T201 - the test's only finding
        return
    texts = [row["question"] for row in orjson.loads(ROUTER.read_bytes())]
    errors = [abs(text_tokens(text) / judged(text) - 1) for text in texts]
    assert sum(error <= 0.10 for error in errors) / len(errors) > 0.94


def test_english_prose_is_estimated_within_a_tenth(judged: Callable[[str], int]) -> None:
    assert text_tokens(ENGLISH) == pytest.approx(judged(ENGLISH), rel=0.10)


@pytest.mark.parametrize("language", OTHERS)
def test_other_languages_are_estimated_within_a_third(language: str, judged: Callable[[str], int]) -> None:
    text = OTHERS[language]
    assert text_tokens(text) == pytest.approx(judged(text), rel=0.33)


def test_very_long_texts_are_sampled() -> None:
    text = " ".join(f"{ENGLISH} Entry {number}." for number in range(2_000))
    assert len(text) > 4 * SAMPLED_ABOVE
    pieces = [text[at : at + SAMPLED_ABOVE] for at in range(0, len(text), SAMPLED_ABOVE)]
    assert text_tokens(text) == pytest.approx(sum(map(text_tokens, pieces)), rel=0.05)


@pytest.mark.parametrize("text", ["", " ", "\ud800 half a pair", "a" * 70_000, "\x00\xff" * 40_000])
def test_any_text_has_an_estimate(text: str) -> None:
    assert text_tokens(text) >= 0


def test_everything_in_a_request_counts() -> None:
    def of(request: ChatRequest) -> int:
        return estimate_tokens(request)

    hello = Message("user", "Hello there, keeper.")
    plain = ChatRequest(model="x", messages=[hello])
    assert of(ChatRequest(model="x", messages=[])) == 1
    assert of(plain) == 4 + round(text_tokens("Hello there, keeper."))
    bigger = [
        ChatRequest(model="x", messages=[hello, Message("user", "More.")]),
        ChatRequest(
            model="x", messages=[Message("user", [TextPart("Hello there, keeper."), ImagePart(url="u")])]
        ),
        ChatRequest(
            model="x", messages=[Message("user", [TextPart("Hello there, keeper."), FilePart(url="u")])]
        ),
        ChatRequest(
            model="x",
            messages=[
                Message("user", [TextPart("Hello there, keeper."), AudioPart(data="AA", format="wav")])
            ],
        ),
        ChatRequest(
            model="x",
            messages=[
                hello,
                Message("assistant", None, tool_calls=[ToolCall(id="1", name="f", arguments='{"a": 1}')]),
            ],
        ),
        ChatRequest(model="x", messages=[hello], tools=[Tool(name="f", parameters={"type": "object"})]),
        ChatRequest(
            model="x",
            messages=[hello],
            response_format=ResponseFormat(kind="json_schema", schema={"type": "object"}),
        ),
    ]
    assert all(of(request) > of(plain) for request in bigger)


def test_a_small_picture_counts_less() -> None:
    def of(detail: str) -> int:
        part = ImagePart(url="u", detail=detail)
        return estimate_tokens(ChatRequest(model="x", messages=[Message("user", [part])]))

    assert of("low") < of("high")
