"""Alerts: what notifiers are told together, and deliveries of groups.

Columns of single deliveries stay, for the rows that are there and for replicas that are about to be replaced.
"""

from alembic import op

revision = "0023"
down_revision = "0022"

GROUP = """
CREATE TABLE alert_group (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    notifier text NOT NULL,
    group_key text NOT NULL,
    labels jsonb NOT NULL,
    dedup_key text NOT NULL,
    told_at timestamptz,
    due_at timestamptz,
    closed boolean NOT NULL DEFAULT false
)
"""
MEMBER = """
CREATE TABLE alert_group_member (
    notifier text NOT NULL,
    alert_id text NOT NULL,
    fingerprint text NOT NULL,
    group_id bigint REFERENCES alert_group (id),
    payload jsonb NOT NULL,
    told_standing text,
    told_sequence bigint,
    waiting_since timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (notifier, alert_id),
    CHECK ((told_standing IS NULL) = (told_sequence IS NULL))
)
"""
SINGLE = ("alert_id", "fingerprint", "sequence")


def upgrade() -> None:
    """Create the tables, and let a delivery be of a group."""
    op.execute(GROUP)
    op.execute("CREATE UNIQUE INDEX alert_group_open ON alert_group (notifier, group_key) WHERE NOT closed")
    op.execute("CREATE INDEX alert_group_due ON alert_group (due_at)")
    op.execute(MEMBER)
    op.execute("CREATE INDEX alert_group_member_fingerprint ON alert_group_member (fingerprint)")
    op.execute(
        "CREATE INDEX alert_group_member_group ON alert_group_member (group_id) WHERE group_id IS NOT NULL"
    )
    op.execute("ALTER TABLE alert_delivery ADD COLUMN group_key text")
    op.execute(
        "CREATE INDEX alert_delivery_alerts ON alert_delivery USING gin ((payload->'alerts') jsonb_path_ops)"
    )
    for column in SINGLE:
        op.execute(f"ALTER TABLE alert_delivery ALTER COLUMN {column} DROP NOT NULL")


def downgrade() -> None:
    """Drop them, and the deliveries of groups."""
    op.execute("DELETE FROM alert_delivery WHERE alert_id IS NULL")
    for column in SINGLE:
        op.execute(f"ALTER TABLE alert_delivery ALTER COLUMN {column} SET NOT NULL")
    op.execute("DROP INDEX alert_delivery_alerts")
    op.execute("ALTER TABLE alert_delivery DROP COLUMN group_key")
    op.execute("DROP TABLE alert_group_member")
    op.execute("DROP TABLE alert_group")
