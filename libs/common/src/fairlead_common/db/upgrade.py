"""Bringing a database to the newest revision: idempotent, and safe when several processes do it at once."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from fairlead_common.db.database import engine_url

LOCK: Final = 4_611_686_018_427_001
"""Key of the advisory lock that lets one process migrate at a time."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def head() -> str:
    """The newest revision this code knows."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    if found is None:  # pragma: no cover - the package always carries its revisions
        raise RuntimeError("no revisions found beside fairlead_common.db.migrations")
    return found


async def upgrade(dsn: str) -> None:
    """Upgrade to ``head``; a database that is there already is left alone."""
    engine = create_async_engine(engine_url(dsn))
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
