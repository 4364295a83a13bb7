"""Health: windows by the hour, so that a window of 30 days is not made from 43,200 minutes."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Create the table."""
    op.execute("CREATE TABLE provider_health_hour (LIKE provider_health_minute)")
    op.execute("ALTER TABLE provider_health_hour RENAME COLUMN minute TO hour")
    op.execute("ALTER TABLE provider_health_hour ADD PRIMARY KEY (provider, model, hour)")


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE provider_health_hour")
