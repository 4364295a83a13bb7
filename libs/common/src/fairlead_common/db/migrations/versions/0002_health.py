"""Health: the state of each provider, its history, its alerts and its probes."""

from alembic import op

revision = "0002"
down_revision = "0001"

UPGRADE = """
CREATE TABLE provider_health (
    provider text PRIMARY KEY,
    status text NOT NULL CHECK (status IN ('healthy', 'degraded', 'down', 'unknown', 'maintenance')),
    avg_latency_ms double precision,
    error_rate double precision,
    uptime_percentage double precision,
    last_check timestamptz,
    score double precision,
    since timestamptz NOT NULL,
    sequence bigint NOT NULL,
    reason text NOT NULL,
    evidence jsonb NOT NULL DEFAULT '[]',
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE provider_health_interval (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider text NOT NULL,
    status text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    reason text NOT NULL,
    sequence bigint NOT NULL,
    UNIQUE (provider, sequence)
);
CREATE INDEX provider_health_interval_time ON provider_health_interval (provider, started_at);

CREATE TABLE provider_health_minute (
    provider text NOT NULL,
    model text NOT NULL,
    minute timestamptz NOT NULL,
    calls integer NOT NULL,
    failures integer NOT NULL,
    error_classes jsonb NOT NULL,
    latency_sketch jsonb NOT NULL,
    ttft_sketch jsonb NOT NULL,
    PRIMARY KEY (provider, model, minute)
);

CREATE TABLE health_frame (
    event_id text PRIMARY KEY,
    seen_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE alert (
    alert_id text PRIMARY KEY,
    fingerprint text NOT NULL,
    alertname text NOT NULL,
    provider text NOT NULL,
    severity text NOT NULL,
    status text NOT NULL,
    sequence bigint NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz,
    acknowledged_by text,
    payload jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX alert_time ON alert (starts_at DESC);
CREATE UNIQUE INDEX alert_open ON alert (fingerprint) WHERE ends_at IS NULL;

CREATE TABLE alert_silence (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider text,
    alertname text,
    ends_at timestamptz NOT NULL,
    reason text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE probe_schedule (
    provider text PRIMARY KEY,
    kind text NOT NULL DEFAULT 'completion' CHECK (kind IN ('cheap', 'completion', 'streaming')),
    interval_s integer NOT NULL CHECK (interval_s >= 1),
    enabled boolean NOT NULL DEFAULT true,
    model text,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE maintenance (
    provider text PRIMARY KEY,
    ends_at timestamptz,
    reason text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
"""

TABLES = (
    "health_frame",
    "maintenance",
    "probe_schedule",
    "alert_silence",
    "alert",
    "provider_health_minute",
    "provider_health_interval",
    "provider_health",
)


def upgrade() -> None:
    """Create the tables."""
    for statement in UPGRADE.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
