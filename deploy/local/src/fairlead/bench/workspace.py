"""Outcomes from the A/B tests of a workspace, over the control API of an edge: prompts, models, scores of answers."""

from collections.abc import Iterable
from typing import Any, Final, TypeVar

import numpy as np
from fairlead_common.decisions.tasks import task_of
from fairlead_common.operations.abtest import Answers, SideBySide, Tests
from fairlead_routing.quality.outcomes import Outcomes
from pydantic import BaseModel, ValidationError

from fairlead.errors import BadInput
from fairlead.local_http import request

PAGE: Final = 200
TIMEOUT_S: Final = 60.0

Shape = TypeVar("Shape", bound=BaseModel)


async def workspace_outcomes(edge_url: str, key: str) -> Outcomes:
    """Everything that the tests of the key's workspace have scored.

    Raises:
        BadInput: the edge does not answer as it should, or there is too little to learn from.
    """
    rows: list[SideBySide] = []
    before: int | None = 2**31 - 1
    while before is not None:
        page = await _get(edge_url, key, f"?limit={PAGE}&before={before}", Tests)
        for test in page.tests:
            rows += await _answers(edge_url, key, test.id)
        before = page.next_before
    return outcomes_of(edge_url, rows)


async def _answers(edge_url: str, key: str, test_id: int) -> list[SideBySide]:
    found: list[SideBySide] = []
    offset: int | None = 0
    while offset is not None:
        page = await _get(edge_url, key, f"/{test_id}/results?limit={PAGE}&offset={offset}", Answers)
        found += page.prompts
        offset = page.next_offset
    return found


async def _get(edge_url: str, key: str, path: str, shape: type[Shape]) -> Shape:
    url = f"{edge_url.rstrip('/')}/api/providers/ab-test{path}"
    try:
        answer = await request("GET", url, headers={"Authorization": f"Bearer {key}"}, timeout_s=TIMEOUT_S)
    except (OSError, TimeoutError) as error:
        raise BadInput(f"{url} does not answer: {error}") from error
    if answer.status != 200:
        raise BadInput(f"{url} answered {answer.status}: {answer.body[:300].decode(errors='replace')}")
    try:
        return shape.model_validate_json(answer.body)
    except ValidationError as error:
        raise BadInput(f"{url} is no edge of Fairlead: {error.errors()[0]['msg']}") from error


def outcomes_of(name: str, rows: Iterable[SideBySide]) -> Outcomes:
    """The mean score of each model on each prompt, by the text of the user's latest turn; a failed call scores 0.

    Raises:
        BadInput: fewer than 20 scored prompts, or than 2 models.
    """
    scores: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        prompt = _prompt(row.messages)
        for answer in row.answers:
            value = 0.0 if answer.error_class is not None else answer.quality_score
            if value is not None:
                scores.setdefault(prompt, {}).setdefault(answer.arm, []).append(value)
    arms = tuple(sorted({arm for by_arm in scores.values() for arm in by_arm}))
    if len(scores) < 20 or len(arms) < 2:
        raise BadInput(
            f"{name} has scores for {len(scores)} prompts and {len(arms)} models; at least 20 prompts of 2 models are"
            " needed: run A/B tests whose prompts have a reference"
        )
    quality = np.array([[_mean(by_arm.get(arm)) for arm in arms] for by_arm in scores.values()])
    return Outcomes(name, tuple(scores), tuple(map(task_of, scores)), arms, quality)


def _prompt(messages: list[dict[str, Any]]) -> str:
    turns = (each.get("content") for each in reversed(messages) if each.get("role") == "user")
    return next((content for content in turns if isinstance(content, str)), "")


def _mean(values: list[float] | None) -> float:
    return float(np.mean(values)) if values else float("nan")
