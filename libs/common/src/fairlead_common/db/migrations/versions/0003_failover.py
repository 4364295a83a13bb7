"""Failover: a policy per workspace, the gates of the fleet, and the log of switches."""

from alembic import op

revision = "0003"
down_revision = "0002"

UPGRADE = """
CREATE TABLE failover_config (
    workspace_id integer PRIMARY KEY REFERENCES workspace (id) ON DELETE CASCADE,
    primary_provider text,
    fallback_providers jsonb NOT NULL DEFAULT '[]',
    failover_conditions jsonb NOT NULL DEFAULT '{}',
    enabled boolean NOT NULL DEFAULT true,
    version integer NOT NULL DEFAULT 1,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE failover_gate (
    provider text PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('closed', 'open', 'half_open', 'recovering')),
    share double precision NOT NULL CHECK (share BETWEEN 0 AND 1),
    since timestamptz NOT NULL,
    retry_at timestamptz,
    reason text NOT NULL,
    sequence bigint NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}'
);

CREATE TABLE failover_event (
    event_id text PRIMARY KEY,
    workspace_id integer NOT NULL,
    kind text NOT NULL CHECK (kind IN ('switched', 'recovered')),
    from_target text NOT NULL,
    to_target text NOT NULL,
    cause text NOT NULL,
    occurred_at timestamptz NOT NULL,
    down_s double precision,
    switched_event_id text,
    payload jsonb NOT NULL
);
CREATE INDEX failover_event_time ON failover_event (workspace_id, occurred_at DESC);
"""

TABLES = ("failover_event", "failover_gate", "failover_config")


def upgrade() -> None:
    """Create the tables."""
    for statement in UPGRADE.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
