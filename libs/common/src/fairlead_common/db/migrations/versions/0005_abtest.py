"""A/B tests."""

from alembic import op

revision = "0005"
down_revision = "0004"

UPGRADE = """
CREATE TABLE ab_test (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspace (id) ON DELETE CASCADE,
    name text NOT NULL,
    prompt text NOT NULL,
    prompts jsonb NOT NULL,
    providers jsonb NOT NULL,
    params jsonb NOT NULL DEFAULT '{}',
    repeats integer NOT NULL DEFAULT 1,
    status text NOT NULL CHECK (status IN ('running', 'completed', 'cancelled')),
    jobs integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    UNIQUE (workspace_id, name)
);
"""

TABLES = ("ab_test",)


def upgrade() -> None:
    """Create the tables."""
    for statement in UPGRADE.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
