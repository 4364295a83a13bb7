"""The catalog: workspaces declare models for themselves; what workspace 1, the operator's, declares counts for all."""

from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Whose each row is; those that are there are the operator's."""
    op.execute(
        "ALTER TABLE model_mapping ADD COLUMN workspace_id integer NOT NULL DEFAULT 1"
        " REFERENCES workspace (id) ON DELETE CASCADE"
    )
    op.execute("ALTER TABLE model_mapping DROP CONSTRAINT model_mapping_provider_model_name_key")
    op.execute("ALTER TABLE model_mapping ADD UNIQUE (workspace_id, provider, model_name)")


def downgrade() -> None:
    """Back to the operator's rows alone."""
    op.execute("DELETE FROM model_mapping WHERE workspace_id <> 1")
    op.execute("ALTER TABLE model_mapping DROP COLUMN workspace_id")
    op.execute("ALTER TABLE model_mapping ADD UNIQUE (provider, model_name)")
