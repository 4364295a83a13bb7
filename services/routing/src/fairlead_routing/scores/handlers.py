"""Subscriber: results of A/B tests, of which routing keeps the scores."""

from fairlead_common.events.abtest import TestResultRecorded
from faststream.nats import NatsMessage

from fairlead_routing.scores.store import Score, ScoreStore

SOURCE = "abtest"


class ResultHandler:
    """Keeps each score once."""

    def __init__(self, store: ScoreStore) -> None:
        self._store = store

    async def on_result(self, body: bytes, message: NatsMessage) -> None:
        """Keep the score of one result, if it has one and says whose it is."""
        score = score_of(TestResultRecorded.model_validate_json(body))
        if score is not None:
            await self._store.add(score)


def score_of(event: TestResultRecorded) -> Score | None:
    """What a result says of its model's quality; an answer that could not be scored, or was none, says nothing."""
    value = event.quality_score
    if value is None or event.workspace_id is None or event.task is None or not 0 <= value <= 1:
        return None
    return Score(
        SOURCE,
        event.event_id,
        event.workspace_id,
        event.provider,
        event.model,
        event.task,
        value,
        event.occurred_at,
    )
