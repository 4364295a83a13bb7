"""Whether a database is as new as this code needs it: during an upgrade, a process may be there before its tables."""

from pathlib import Path
from typing import Final

from sqlalchemy.exc import DBAPIError

from fairlead_common.db.database import Database

MIGRATIONS: Final = Path(__file__).parent / "migrations" / "versions"
REVISION: Final = max(path.name.partition("_")[0] for path in MIGRATIONS.glob("[0-9]*.py"))
"""The newest that this code knows. Revisions are numbered, so that their order is that of their names."""
NONE: Final = "SELECT to_regclass('alembic_version') IS NULL AS none"


class SchemaTooOld(Exception):
    """The database lacks revisions; the message says which are there and needed, and what to do."""


async def check_revision(database: Database) -> None:
    """A newer database is fine, and one that cannot be asked now is not waited for: every service rides that out.

    Raises:
        SchemaTooOld: the database is older than this code.
    """
    try:
        (row,) = await database.fetch(NONE)
        found = [] if row["none"] else await database.fetch("SELECT version_num FROM alembic_version")
    except (DBAPIError, OSError, TimeoutError):
        return
    has = max((str(each["version_num"]) for each in found), default=None)
    if has is None or has < REVISION:
        text = f"has revision {has}" if has else "has no tables of ours"
        raise SchemaTooOld(
            f"the database {text}, and {REVISION} is needed; run the setup step of this version"
            " (python -m fairlead_common.setup)"
        )
