"""Comparison: what workspaces have spent, by day and source of the calls."""

from alembic import op

revision = "0017"
down_revision = "0016"

UPGRADE = """
CREATE TABLE workspace_spend (
    workspace_id integer NOT NULL,
    day date NOT NULL,
    source text NOT NULL,
    usd double precision NOT NULL,
    calls bigint NOT NULL,
    unpriced bigint NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, day, source)
);
CREATE INDEX workspace_spend_day ON workspace_spend (day);
"""


def upgrade() -> None:
    """Create the table."""
    for statement in UPGRADE.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE workspace_spend")
