"""Alerts: the queue of deliveries to notifiers, which is their log as well."""

from alembic import op

revision = "0019"
down_revision = "0018"

TABLE = """
CREATE TABLE alert_delivery (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    notifier text NOT NULL,
    alert_id text NOT NULL,
    fingerprint text NOT NULL,
    sequence bigint NOT NULL,
    status text NOT NULL,
    payload jsonb NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'dead')),
    claims integer NOT NULL DEFAULT 0,
    attempts jsonb NOT NULL DEFAULT '[]',
    due_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (notifier, fingerprint, sequence)
)
"""


def upgrade() -> None:
    """Create the table."""
    op.execute(TABLE)
    op.execute("CREATE INDEX alert_delivery_due ON alert_delivery (due_at) WHERE state = 'waiting'")
    op.execute("CREATE INDEX alert_delivery_alert ON alert_delivery (alert_id)")


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE alert_delivery")
