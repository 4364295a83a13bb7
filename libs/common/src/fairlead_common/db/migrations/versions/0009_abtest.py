"""A/B tests: what was asked for beside the prompts, and every job with what became of it."""

from alembic import op

revision = "0009"
down_revision = "0008"

UPGRADE = """
ALTER TABLE ab_test
    ADD COLUMN arms jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN metric text NOT NULL DEFAULT 'latency' CHECK (metric IN ('quality', 'latency', 'cost')),
    ADD COLUMN minimum_effect double precision NOT NULL DEFAULT 0.1,
    ADD COLUMN alpha double precision NOT NULL DEFAULT 0.05,
    ADD COLUMN max_cost_usd double precision,
    ADD COLUMN max_concurrency integer,
    ADD COLUMN timeout_s double precision NOT NULL DEFAULT 60,
    ADD COLUMN stream boolean NOT NULL DEFAULT true,
    ADD COLUMN estimated_cost_usd double precision,
    ADD COLUMN warnings jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN stop_reason text;
CREATE INDEX ab_test_running ON ab_test (id) WHERE status = 'running';

CREATE TABLE ab_test_job (
    event_id text PRIMARY KEY,
    ab_test_id integer NOT NULL REFERENCES ab_test (id) ON DELETE CASCADE,
    position integer NOT NULL,
    prompt_index integer NOT NULL,
    repeat integer NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    estimated_cost_usd double precision,
    claims integer NOT NULL DEFAULT 0,
    claimed_by text,
    claimed_until timestamptz,
    done_at timestamptz,
    error_class text,
    cost_usd double precision
);
CREATE INDEX ab_test_job_test ON ab_test_job (ab_test_id, position);
CREATE INDEX ab_test_job_claimed ON ab_test_job (ab_test_id) WHERE claimed_by IS NOT NULL AND done_at IS NULL;
"""

DOWNGRADE = """
DROP TABLE ab_test_job;
DROP INDEX ab_test_running;
ALTER TABLE ab_test
    DROP COLUMN stop_reason,
    DROP COLUMN warnings,
    DROP COLUMN estimated_cost_usd,
    DROP COLUMN stream,
    DROP COLUMN timeout_s,
    DROP COLUMN max_concurrency,
    DROP COLUMN max_cost_usd,
    DROP COLUMN alpha,
    DROP COLUMN minimum_effect,
    DROP COLUMN metric,
    DROP COLUMN arms;
"""


def upgrade() -> None:
    """Add them."""
    _run(UPGRADE)


def downgrade() -> None:
    """Take them away again."""
    _run(DOWNGRADE)


def _run(script: str) -> None:
    for statement in script.split(";\n"):
        if statement.strip():
            op.execute(statement)
