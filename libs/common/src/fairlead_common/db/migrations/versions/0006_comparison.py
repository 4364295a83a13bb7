"""Comparison: every call and attempt once, rollups, pairwise comparisons, results of A/B tests."""

from alembic import op

revision = "0006"
down_revision = "0005"

UPGRADE = """
CREATE TABLE call_observation (
    call_id uuid NOT NULL,
    started_at timestamptz NOT NULL,
    kind text NOT NULL,
    workspace_id integer NOT NULL,
    source text NOT NULL,
    api text NOT NULL,
    requested_model text NOT NULL,
    stream boolean NOT NULL,
    state text NOT NULL,
    status integer NOT NULL,
    provider text,
    model text,
    rule text,
    table_version integer,
    failover boolean NOT NULL,
    attempts integer NOT NULL,
    duration_ms double precision NOT NULL,
    ttft_ms double precision,
    overhead_ms double precision,
    input_tokens bigint,
    output_tokens bigint,
    cached_input_tokens bigint,
    reasoning_tokens bigint,
    cost_usd double precision,
    error_code text,
    trace_id text,
    test_id integer,
    PRIMARY KEY (call_id, started_at)
) PARTITION BY RANGE (started_at);
CREATE INDEX call_observation_time ON call_observation USING brin (started_at);
CREATE INDEX call_observation_provider ON call_observation (provider, model, started_at);

CREATE TABLE attempt_observation (
    call_id uuid NOT NULL,
    attempt integer NOT NULL,
    started_at timestamptz NOT NULL,
    kind text NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    reason text NOT NULL,
    error_class text,
    status integer,
    duration_ms double precision NOT NULL,
    ttft_ms double precision,
    input_tokens bigint,
    output_tokens bigint,
    cost_usd double precision,
    finish_reason text,
    provider_request_id text,
    PRIMARY KEY (call_id, attempt, started_at)
) PARTITION BY RANGE (started_at);
CREATE INDEX attempt_observation_time ON attempt_observation USING brin (started_at);
CREATE INDEX attempt_observation_provider ON attempt_observation (provider, model, started_at);

CREATE TABLE performance_minute (
    provider text NOT NULL,
    model text NOT NULL,
    kind text NOT NULL,
    minute timestamptz NOT NULL,
    attempts integer NOT NULL,
    failures integer NOT NULL,
    output_tokens bigint NOT NULL,
    generation_ms double precision NOT NULL,
    cost_usd double precision NOT NULL,
    priced integer NOT NULL,
    latency_sketch jsonb NOT NULL,
    ttft_sketch jsonb NOT NULL,
    PRIMARY KEY (provider, model, kind, minute)
);
CREATE INDEX performance_minute_time ON performance_minute (minute);

CREATE TABLE provider_comparison (
    comparison_date date NOT NULL,
    provider1 text NOT NULL,
    provider2 text NOT NULL,
    metric text NOT NULL,
    provider1_value double precision,
    provider2_value double precision,
    winner text,
    n1 integer NOT NULL,
    n2 integer NOT NULL,
    difference double precision,
    difference_low double precision,
    difference_high double precision,
    p_value double precision,
    method text NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (comparison_date, provider1, provider2, metric)
);

CREATE TABLE ab_test_result (
    event_id text PRIMARY KEY,
    ab_test_id integer NOT NULL,
    prompt_index integer NOT NULL,
    repeat integer NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    response text,
    latency_ms double precision NOT NULL,
    ttft_ms double precision,
    input_tokens bigint,
    output_tokens bigint,
    cost double precision,
    quality_score double precision,
    scores jsonb NOT NULL DEFAULT '{}',
    error_class text,
    finish_reason text,
    occurred_at timestamptz NOT NULL
);
CREATE INDEX ab_test_result_test ON ab_test_result (ab_test_id);
"""

TABLES = (
    "ab_test_result",
    "provider_comparison",
    "performance_minute",
    "attempt_observation",
    "call_observation",
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
