"""Health: probes of several models, their budgets, results and costs."""

from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Create the tables; a schedule's one model becomes a list."""
    op.execute("ALTER TABLE probe_schedule ADD COLUMN models text[] NOT NULL DEFAULT '{}'")
    op.execute("UPDATE probe_schedule SET models = ARRAY[model] WHERE model IS NOT NULL")
    op.execute("ALTER TABLE probe_schedule DROP COLUMN model")
    op.execute(
        "ALTER TABLE probe_schedule ADD COLUMN daily_budget_usd double precision CHECK (daily_budget_usd >= 0),"
        " ADD COLUMN monthly_budget_usd double precision CHECK (monthly_budget_usd >= 0)"
    )
    op.execute(
        "CREATE TABLE probe_result (call_id text PRIMARY KEY, provider text NOT NULL, model text NOT NULL, region text,"
        " kind text NOT NULL, started_at timestamptz NOT NULL, error_class text, status integer,"
        " latency_ms double precision NOT NULL, ttft_ms double precision, dns_ms double precision,"
        " connect_ms double precision, tls_ms double precision, first_byte_ms double precision,"
        " cost_usd double precision)"
    )
    op.execute("CREATE INDEX probe_result_time ON probe_result (provider, started_at DESC)")
    op.execute("CREATE INDEX probe_result_age ON probe_result USING brin (started_at)")
    op.execute(
        "CREATE TABLE probe_spend (provider text NOT NULL, day date NOT NULL, probes integer NOT NULL,"
        " cost_usd double precision NOT NULL, PRIMARY KEY (provider, day))"
    )


def downgrade() -> None:
    """Drop them; of several models the first stays."""
    op.execute("DROP TABLE probe_spend")
    op.execute("DROP TABLE probe_result")
    op.execute("ALTER TABLE probe_schedule ADD COLUMN model text")
    op.execute("UPDATE probe_schedule SET model = models[1]")
    op.execute(
        "ALTER TABLE probe_schedule DROP COLUMN models, DROP COLUMN daily_budget_usd, DROP COLUMN monthly_budget_usd"
    )
