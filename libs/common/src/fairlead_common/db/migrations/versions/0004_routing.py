"""Routing: rules per workspace, and the version of each workspace's table."""

from alembic import op

revision = "0004"
down_revision = "0003"

UPGRADE = """
CREATE TABLE routing_rule (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspace (id) ON DELETE CASCADE,
    name text NOT NULL,
    strategy text NOT NULL CHECK (strategy IN ('latency', 'cost', 'quality', 'balanced')),
    conditions jsonb NOT NULL DEFAULT '{}',
    priority integer NOT NULL DEFAULT 100,
    enabled boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, name)
);

CREATE TABLE routing_version (
    workspace_id integer PRIMARY KEY REFERENCES workspace (id) ON DELETE CASCADE,
    version integer NOT NULL
);
"""

TABLES = ("routing_version", "routing_rule")


def upgrade() -> None:
    """Create the tables."""
    for statement in UPGRADE.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
