"""The catalog: what operators declare of models, over what is built in."""

from alembic import op

revision = "0007"
down_revision = "0006"

UPGRADE = """
CREATE TABLE model_mapping (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model_name text NOT NULL,
    provider text NOT NULL,
    equivalent_models jsonb NOT NULL DEFAULT '[]',
    capabilities jsonb NOT NULL DEFAULT '{}',
    pricing jsonb NOT NULL DEFAULT '{}',
    verified boolean NOT NULL DEFAULT false,
    reported_wrong text,
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (provider, model_name)
);
"""

TABLES = ("model_mapping",)


def upgrade() -> None:
    """Create the tables."""
    for statement in UPGRADE.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
