"""Routing: strategies are checked by the service, which knows the plug-ins; the table takes any word."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Drop the closed list."""
    op.execute("ALTER TABLE routing_rule DROP CONSTRAINT routing_rule_strategy_check")


def downgrade() -> None:
    """Close it again."""
    op.execute(
        "ALTER TABLE routing_rule ADD CONSTRAINT routing_rule_strategy_check"
        " CHECK (strategy IN ('latency', 'cost', 'quality', 'balanced'))"
    )
