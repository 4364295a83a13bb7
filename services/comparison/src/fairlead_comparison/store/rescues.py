"""What failover did for a workspace: sums over its calls, by the provider that was meant to be tried first."""

from datetime import datetime
from typing import Final

from fairlead_common.db.database import Database
from fairlead_common.outcomes import ErrorClass
from sqlalchemy import RowMapping

AGAINST: Final = [each.value for each in ErrorClass if each.retryable_elsewhere]
"""Failures of an attempt that are not the caller's own."""

RESCUES: Final = """
WITH calls AS (
    SELECT call_id, started_at, state, duration_ms, nullif(split_part(decision->>'instead_of', '/', 1), '') AS meant
    FROM call_observation
    WHERE workspace_id = :workspace_id AND kind = 'live' AND started_at >= :since AND started_at < :until
        AND state IN ('ok', 'truncated', 'failed')
), tries AS (
    SELECT calls.call_id, calls.state, calls.meant, calls.duration_ms AS call_ms, a.attempt, a.provider, a.error_class,
        a.duration_ms, a.cost_usd, min(a.attempt) OVER each AS first, max(a.attempt) OVER each AS last
    FROM calls JOIN attempt_observation AS a ON a.call_id = calls.call_id
        AND a.started_at >= CAST(:since AS timestamptz) AND a.started_at < CAST(:until AS timestamptz) + interval '1 hour'
    WINDOW each AS (PARTITION BY calls.call_id)
), asked AS (
    SELECT call_id, state, call_ms, meant,
        coalesce(meant, max(provider) FILTER (WHERE attempt = first)) AS provider,
        meant IS NULL AND bool_or(attempt = first AND error_class IS NULL) AS first_ok,
        meant IS NULL AND coalesce(bool_or(attempt = first AND error_class = ANY(:against)), false) AS failed_first,
        max(duration_ms) FILTER (WHERE attempt = last) AS answer_ms,
        sum(cost_usd) FILTER (WHERE attempt < last) AS extra_usd,
        count(*) FILTER (WHERE attempt < last AND cost_usd IS NULL) AS unpriced
    FROM tries GROUP BY call_id, state, call_ms, meant
)
SELECT provider, count(*) AS calls,
    count(*) FILTER (WHERE state = 'ok') AS served,
    count(*) FILTER (WHERE state = 'ok' AND first_ok) AS served_first,
    count(*) FILTER (WHERE meant IS NOT NULL) AS led_elsewhere,
    count(*) FILTER (WHERE failed_first) AS failed_first,
    count(*) FILTER (WHERE failed_first AND state = 'ok') AS rescued,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY call_ms - answer_ms) FILTER (WHERE failed_first AND state = 'ok')
        AS added_p50_ms,
    percentile_cont(0.99) WITHIN GROUP (ORDER BY call_ms - answer_ms) FILTER (WHERE failed_first AND state = 'ok')
        AS added_p99_ms,
    sum(extra_usd) FILTER (WHERE failed_first) AS extra_cost_usd,
    coalesce(sum(unpriced) FILTER (WHERE failed_first), 0) AS unpriced_attempts
FROM asked GROUP BY provider ORDER BY provider
"""


class RescueStore:
    """One query each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def rescues(self, workspace_id: int, since: datetime, until: datetime) -> list[RowMapping]:
        """By the provider that was meant first; what is not known is null."""
        return await self._database.fetch(
            RESCUES, workspace_id=workspace_id, since=since, until=until, against=AGAINST
        )
