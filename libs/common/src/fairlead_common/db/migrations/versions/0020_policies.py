"""Failover: rules of a workspace's policy, and every version of it with who made it and when."""

from alembic import op

revision = "0020"
down_revision = "0019"

UPGRADE = """
ALTER TABLE failover_config ADD COLUMN rules jsonb NOT NULL DEFAULT '[]';

CREATE TABLE failover_config_version (
    workspace_id integer NOT NULL REFERENCES workspace (id) ON DELETE CASCADE,
    version integer NOT NULL,
    action text NOT NULL CHECK (action IN ('changed', 'deleted')),
    config jsonb NOT NULL,
    changed_by text,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, version)
);
INSERT INTO failover_config_version (workspace_id, version, action, config, changed_at)
    SELECT workspace_id, version, 'changed', jsonb_build_object('primary_provider', primary_provider,
    'fallback_providers', fallback_providers, 'failover_conditions', failover_conditions, 'enabled', enabled,
    'rules', rules), updated_at FROM failover_config;
"""


def upgrade() -> None:
    """Create the history; what is there now is its beginning."""
    for statement in UPGRADE.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Drop both."""
    op.execute("DROP TABLE failover_config_version")
    op.execute("ALTER TABLE failover_config DROP COLUMN rules")
