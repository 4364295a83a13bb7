"""Routing: every change of a rule is kept, with who made it and when, by the version of the table that it made."""

from alembic import op

revision = "0013"
down_revision = "0012"

DOCUMENT = (
    "jsonb_build_object('name', name, 'strategy', strategy, 'conditions', conditions,"
    " 'priority', priority, 'enabled', enabled)"
)

UPGRADE = f"""
ALTER TABLE routing_rule ADD COLUMN version integer NOT NULL DEFAULT 0;
UPDATE routing_rule SET version = coalesce((SELECT v.version FROM routing_version v
    WHERE v.workspace_id = routing_rule.workspace_id), 0);

CREATE TABLE routing_rule_version (
    workspace_id integer NOT NULL REFERENCES workspace (id) ON DELETE CASCADE,
    version integer NOT NULL,
    rule_id integer NOT NULL,
    action text NOT NULL CHECK (action IN ('created', 'changed', 'deleted', 'restored')),
    rule jsonb NOT NULL,
    changed_by text,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, rule_id, version)
);
CREATE INDEX routing_rule_version_table ON routing_rule_version (workspace_id, version);
INSERT INTO routing_rule_version (workspace_id, version, rule_id, action, rule, changed_at)
    SELECT workspace_id, version, id, 'created', {DOCUMENT}, updated_at FROM routing_rule;
"""


def upgrade() -> None:
    """Create the history; what is there now is its beginning."""
    for statement in UPGRADE.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE routing_rule_version")
    op.execute("ALTER TABLE routing_rule DROP COLUMN version")
