"""Routing: scores of answers, by model and task class."""

from alembic import op

revision = "0014"
down_revision = "0013"

UPGRADE = """
CREATE TABLE quality_score (
    source text NOT NULL,
    id text NOT NULL,
    workspace_id integer NOT NULL REFERENCES workspace (id) ON DELETE CASCADE,
    provider text NOT NULL,
    model text NOT NULL,
    task text NOT NULL,
    value double precision NOT NULL CHECK (value BETWEEN 0 AND 1),
    occurred_at timestamptz NOT NULL,
    PRIMARY KEY (source, id)
);
CREATE INDEX quality_score_time ON quality_score (occurred_at);
CREATE INDEX quality_score_workspace ON quality_score (workspace_id);
"""


def upgrade() -> None:
    """Create the table."""
    for statement in UPGRADE.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE quality_score")
