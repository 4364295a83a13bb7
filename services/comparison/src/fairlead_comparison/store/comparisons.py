"""The table ``provider_comparison``: a day is replaced as a whole."""

from datetime import date
from typing import Any, Final

from fairlead_common.db.database import Database
from fairlead_common.operations.comparison import HistoryQuery
from sqlalchemy import RowMapping, text

ROW: Final = (
    "comparison_date, provider1, provider2, metric, provider1_value, provider2_value, winner, n1, n2, difference,"
    " difference_low, difference_high, p_value, adjusted_p_value, method, reason"
)
VALUES: Final = ", ".join(f":{name.strip()}" for name in ROW.split(","))
DAY_LOCK: Final = 4_611_686
"""First half of the key of the advisory lock under which a day is replaced; the day's number is the second."""


class ComparisonStore:
    """One transaction each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def replace_day(self, day: date, rows: list[dict[str, Any]]) -> None:
        """These rows and no others are the comparisons of the day."""
        async with self._database.transaction() as session:
            connection = await session.connection()
            await connection.execute(
                text("SELECT pg_advisory_xact_lock(:lock, :day)"), {"lock": DAY_LOCK, "day": day.toordinal()}
            )
            await connection.execute(
                text("DELETE FROM provider_comparison WHERE comparison_date = :day"), {"day": day}
            )
            if rows:
                await connection.execute(
                    text(f"INSERT INTO provider_comparison ({ROW}) VALUES ({VALUES})"), rows
                )

    async def history(self, query: HistoryQuery) -> list[RowMapping]:
        """Rows by day (newest first), providers, metric."""
        return await self._database.fetch(
            f"SELECT {ROW}, computed_at FROM provider_comparison"
            " WHERE (CAST(:since AS date) IS NULL OR comparison_date >= :since)"
            " AND (CAST(:until AS date) IS NULL OR comparison_date <= :until)"
            " AND (CAST(:provider AS text) IS NULL OR :provider IN (provider1, provider2))"
            " AND (CAST(:metric AS text) IS NULL OR metric = :metric)"
            " ORDER BY comparison_date DESC, provider1, provider2, metric LIMIT :limit",
            **query.model_dump(),
        )
