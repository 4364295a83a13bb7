"""Results of A/B tests: one row for each event, however often it comes."""

import json

from fairlead_common.db.database import Database
from fairlead_common.events.abtest import TestResultRecorded
from fairlead_common.operations.ab_results import OfTest
from sqlalchemy import RowMapping

from fairlead_comparison.domain.observations import text as storable

MAX_RESPONSE = 1_000_000
"""Characters kept of a response."""
RESULT = (
    "event_id, ab_test_id, prompt_index, repeat, provider, model, response, latency_ms, ttft_ms, input_tokens,"
    " output_tokens, cost, quality_score, scores, error_class, finish_reason, occurred_at"
)
KEPT = RESULT.replace(" response,", " CASE WHEN :responses THEN response END AS response,")
PAGE_BYTES = 3_000_000
"""Of results in one reply, which must fit into one message of the bus."""
RESULT_OVERHEAD_BYTES = 600
"""Of a result beside the text of its answer."""


class ResultStore:
    """One query each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, event: TestResultRecorded) -> bool:
        """Insert a result; False when it was there already."""
        rows = await self._database.fetch(
            f"INSERT INTO ab_test_result ({RESULT}) VALUES (:event_id, :ab_test_id, :prompt_index, :repeat, :provider,"
            " :model, :response, :latency_ms, :ttft_ms, :input_tokens, :output_tokens, :cost, :quality_score,"
            " CAST(:scores AS jsonb), :error_class, :finish_reason, :occurred_at)"
            " ON CONFLICT (event_id) DO NOTHING RETURNING event_id",
            event_id=event.event_id,
            ab_test_id=event.test_id,
            prompt_index=event.prompt_index,
            repeat=event.repeat,
            provider=storable(event.provider),
            model=storable(event.model),
            response=None if event.response is None else storable(event.response, MAX_RESPONSE),
            latency_ms=event.latency_ms,
            ttft_ms=event.ttft_ms,
            input_tokens=event.input_tokens,
            output_tokens=event.output_tokens,
            cost=event.cost_usd,
            quality_score=event.quality_score,
            scores=json.dumps({storable(name): value for name, value in event.scores.items()}),
            error_class=None if event.error_class is None else event.error_class.value,
            finish_reason=None if event.finish_reason is None else storable(event.finish_reason),
            occurred_at=event.occurred_at,
        )
        return bool(rows)

    async def of_test(self, which: OfTest) -> tuple[list[RowMapping], bool]:
        """Results of a test behind a place, in order, up to about 3 MB of them; and whether there are more."""
        rows = await self._database.fetch(
            f"SELECT {RESULT}, remaining FROM (SELECT {KEPT}, count(*) OVER () AS remaining, row_number() OVER place AS row,"
            " sum(size) OVER (place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS size_before FROM"
            f" (SELECT {RESULT}, :overhead + CASE WHEN :responses THEN coalesce(octet_length(response), 0) ELSE 0 END"
            " AS size FROM ab_test_result WHERE ab_test_id = :test_id"
            " AND (prompt_index, repeat, provider, model) > (:prompt_index, :repeat, :provider, :model)) AS behind"
            " WINDOW place AS (ORDER BY prompt_index, repeat, provider, model, event_id)) AS measured"
            " WHERE row <= :limit AND coalesce(size_before, 0) < :budget ORDER BY row",
            test_id=which.test_id,
            responses=which.responses,
            limit=which.limit,
            overhead=RESULT_OVERHEAD_BYTES,
            budget=PAGE_BYTES,
            **which.after.model_dump(),
        )
        return rows, bool(rows) and rows[0]["remaining"] > len(rows)
