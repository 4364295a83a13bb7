"""The slow database, on a real one: through the relay while it is slow, past it afterwards."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
from fairlead.drills.slow_postgres import SlowPostgres

from tests.support.waiting import until

DELAY_S = 0.05


async def seconds_of(connection: asyncpg.Connection) -> float:
    """What the server's clock says of a round trip of ours: between two statements."""
    first = await connection.fetchval("SELECT clock_timestamp()")
    second = await connection.fetchval("SELECT clock_timestamp()")
    return float((second - first).total_seconds())


async def test_everything_takes_longer_until_it_ends_and_old_connections_are_ended(postgres_dsn: str) -> None:
    before = await asyncpg.connect(postgres_dsn)
    socket = Path(parse_qs(urlsplit(postgres_dsn).query)["host"][0]) / ".s.PGSQL.5432"
    slow = SlowPostgres(socket, postgres_dsn, DELAY_S)
    await slow.begin()
    try:
        await until(before.is_closed)
        through = await asyncpg.connect(postgres_dsn)
        assert await seconds_of(through) >= 2 * DELAY_S
    finally:
        await slow.end()
    await until(through.is_closed)
    past = await asyncpg.connect(postgres_dsn)
    assert await past.fetchval("SELECT 1") == 1
    await past.close()
