"""Comparison: the routing decision of a call beside the call."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the column; calls from before have none."""
    op.execute("ALTER TABLE call_observation ADD COLUMN decision jsonb")


def downgrade() -> None:
    """Drop it."""
    op.execute("ALTER TABLE call_observation DROP COLUMN decision")
