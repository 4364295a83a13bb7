"""Alerts: rules as versions of a configuration, silences by matchers, notes of those who acknowledge."""

from alembic import op

revision = "0015"
down_revision = "0014"

UPGRADE = """
CREATE TABLE alert_config (
    section text NOT NULL,
    version integer NOT NULL,
    content jsonb NOT NULL,
    set_by text NOT NULL,
    note text NOT NULL,
    set_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (section, version)
);

ALTER TABLE alert_silence
    ADD COLUMN matchers jsonb,
    ADD COLUMN starts_at timestamptz,
    ADD COLUMN set_by text NOT NULL DEFAULT 'unknown';
UPDATE alert_silence SET
    matchers = jsonb_strip_nulls(jsonb_build_object('provider', provider, 'alertname', alertname)),
    starts_at = created_at;
ALTER TABLE alert_silence
    ALTER COLUMN matchers SET NOT NULL,
    ALTER COLUMN starts_at SET NOT NULL,
    DROP COLUMN provider,
    DROP COLUMN alertname;
CREATE INDEX alert_silence_end ON alert_silence (ends_at);

ALTER TABLE alert ADD COLUMN acknowledgement_note text NOT NULL DEFAULT '';
"""

DOWNGRADE = """
ALTER TABLE alert DROP COLUMN acknowledgement_note;
ALTER TABLE alert_silence ADD COLUMN provider text, ADD COLUMN alertname text;
UPDATE alert_silence SET provider = matchers->>'provider', alertname = matchers->>'alertname';
ALTER TABLE alert_silence DROP COLUMN matchers, DROP COLUMN starts_at, DROP COLUMN set_by;
DROP INDEX alert_silence_end;
DROP TABLE alert_config;
"""


def upgrade() -> None:
    """Create and change the tables."""
    for statement in filter(str.strip, UPGRADE.split(";\n")):
        op.execute(statement)


def downgrade() -> None:
    """Back to silences by provider and name."""
    for statement in filter(str.strip, DOWNGRADE.split(";\n")):
        op.execute(statement)
