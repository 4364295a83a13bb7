"""Gates of models beside those of providers: the key names either."""

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """The gates that are there are those of providers."""
    op.execute("ALTER TABLE failover_gate RENAME COLUMN provider TO key")
    op.execute(
        "UPDATE failover_gate SET detail = jsonb_build_object('state', state, 'share', share, 'since', since,"
        " 'retry_at', retry_at, 'reason', reason, 'sequence', sequence)"
    )


def downgrade() -> None:
    """Gates of models are forgotten; the controller finds out anew."""
    op.execute("DELETE FROM failover_gate")
    op.execute("ALTER TABLE failover_gate RENAME COLUMN key TO provider")
