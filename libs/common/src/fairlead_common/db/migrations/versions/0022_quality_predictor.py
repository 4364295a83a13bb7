"""Routing: the learned predictors of qualities, every change of a workspace's as a version."""

from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Create the table."""
    op.execute(
        """
        CREATE TABLE quality_predictor (
            workspace_id integer NOT NULL REFERENCES workspace (id) ON DELETE CASCADE,
            version integer NOT NULL,
            action text NOT NULL CHECK (action IN ('installed', 'removed', 'restored')),
            about jsonb,
            document text,
            changed_by text,
            changed_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (workspace_id, version),
            CHECK ((about IS NULL) = (document IS NULL) AND (about IS NULL) = (action = 'removed'))
        )
        """
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE quality_predictor")
