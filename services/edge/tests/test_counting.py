"""An edge learns how a vendor counts tokens, and decides by it."""

from pathlib import Path

import orjson
from fairlead_common.decisions.targets import Target
from fairlead_edge.counting import EVERY_S, MATERIAL, MAX_TARGETS, TokenRatios
from fairlead_edge.http.messages import Request, ResponseWriter
from fairlead_models.tokens import text_tokens

from services.edge.tests.chats import CHAT, ask
from tests.support.edge import edge_here
from tests.support.upstream import upstream

TARGET = Target("openai", "gpt-5.4-mini")
PROMPT = "How do I compare providers? " * 20


async def test_usage_corrects_the_estimate_of_the_next_call(tmp_path: Path) -> None:
    counted = round(1.4 * text_tokens(PROMPT))

    async def handler(request: Request, writer: ResponseWriter) -> None:
        usage = {"prompt_tokens": counted, "completion_tokens": 1, "total_tokens": counted + 1}
        message = {"role": "assistant", "content": "By numbers."}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        writer.send(200, {}, orjson.dumps({"choices": [choice], "usage": usage}))

    async with upstream(handler) as spec, edge_here(tmp_path, (spec,)) as edge:
        body = {**ask(str(TARGET)), "messages": [{"role": "user", "content": PROMPT}]}
        (before,) = edge.fleet.catalog(1).candidates(str(TARGET))[:1]
        assert (await edge.client().post(CHAT, json=body)).status_code == 200
        (now,) = edge.fleet.catalog(1).candidates(str(TARGET))[:1]
        ratio = edge.fleet.ratios.applied[TARGET]
        assert 1.0 < ratio < 1.4
        assert before.input_price is not None
        assert now.input_price == before.input_price * ratio
        shown = (await edge.client().get(f"/api/providers/models/{TARGET}")).json()
        assert shown["input_tokens_per_estimated"] == ratio


def test_ratios_are_applied_when_they_matter_and_not_too_often() -> None:
    ratios = TokenRatios()
    assert not ratios.note(TARGET, 1000, 1001, 0.0)
    assert ratios.note(TARGET, 1000, 1500, 1.0)
    first = ratios.applied[TARGET]
    assert not ratios.note(TARGET, 4000, 8000, 1.0 + EVERY_S / 2)
    assert ratios.applied[TARGET] == first
    assert ratios.note(TARGET, 4000, 8000, 1.0 + EVERY_S)
    assert ratios.applied[TARGET] - first > MATERIAL
    assert ratios.corrected(TARGET, 1000) == round(1000 * ratios.applied[TARGET])
    assert ratios.corrected(Target("openai", "unknown"), 1000) == 1000


def test_callers_who_name_any_model_do_not_fill_the_memory() -> None:
    ratios = TokenRatios()
    for number in range(MAX_TARGETS + 10):
        ratios.note(Target("openai", f"m{number}"), 1000, 1500, 0.0)
    ratios.note(TARGET, 1000, 1500, EVERY_S)
    assert len(ratios.applied) == MAX_TARGETS
