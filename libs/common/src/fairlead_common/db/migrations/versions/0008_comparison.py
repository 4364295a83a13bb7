"""Comparison: sums of squares for intervals, rollups by the hour, sketches that add up in SQL, the reason of a verdict."""

from alembic import op

revision = "0008"
down_revision = "0007"

UPGRADE = """
ALTER TABLE performance_minute
    ADD COLUMN cost_usd_sq double precision NOT NULL DEFAULT 0,
    ADD COLUMN generations integer NOT NULL DEFAULT 0,
    ADD COLUMN output_tokens_sq double precision NOT NULL DEFAULT 0,
    ADD COLUMN generation_ms_sq double precision NOT NULL DEFAULT 0,
    ADD COLUMN tokens_times_ms double precision NOT NULL DEFAULT 0;
CREATE TABLE performance_hour (LIKE performance_minute INCLUDING ALL);
ALTER TABLE performance_hour RENAME COLUMN minute TO hour;

CREATE FUNCTION sketch_sum(a jsonb, b jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(jsonb_object_agg(bucket, total), '{}') FROM (
        SELECT bucket, sum(n::bigint) AS total FROM (
            SELECT * FROM jsonb_each_text(a) UNION ALL SELECT * FROM jsonb_each_text(b)
        ) AS each (bucket, n) GROUP BY bucket
    ) AS summed
$$;

ALTER TABLE provider_comparison
    ADD COLUMN adjusted_p_value double precision,
    ADD COLUMN reason text;

CREATE INDEX call_observation_workspace ON call_observation (workspace_id, started_at DESC, call_id DESC);
CREATE INDEX ab_test_result_scored ON ab_test_result (occurred_at) WHERE quality_score IS NOT NULL;
"""

DOWNGRADE = """
DROP INDEX ab_test_result_scored;
DROP INDEX call_observation_workspace;
ALTER TABLE provider_comparison DROP COLUMN reason, DROP COLUMN adjusted_p_value;
DROP FUNCTION sketch_sum(jsonb, jsonb);
DROP TABLE performance_hour;
ALTER TABLE performance_minute
    DROP COLUMN tokens_times_ms,
    DROP COLUMN generation_ms_sq,
    DROP COLUMN output_tokens_sq,
    DROP COLUMN generations,
    DROP COLUMN cost_usd_sq;
"""


def upgrade() -> None:
    """Add what intervals and long windows need."""
    _run(UPGRADE)


def downgrade() -> None:
    """Take it away again."""
    _run(DOWNGRADE)


def _run(script: str) -> None:
    for statement in script.split(";\n"):
        if statement.strip():
            op.execute(statement)
