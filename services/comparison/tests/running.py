"""The whole service on a real bus and database, inside a test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from fairlead_common.service import Runtime
from fairlead_comparison.app import wire
from fairlead_comparison.settings import ComparisonSettings
from pydantic import SecretStr

from tests.support.servers import free_port
from tests.support.services import service_here


@asynccontextmanager
async def running(nats_url: str, dsn: str, **settings: Any) -> AsyncIterator[Runtime]:
    """Run it until the block ends; yields when its subscribers run."""
    given = ComparisonSettings(
        nats_url=SecretStr(nats_url),
        postgres_dsn=SecretStr(dsn),
        http_port=free_port(),
        **{"performance_every_s": 0.2, **settings},
    )
    async with service_here("comparison", given, wire) as found:
        yield found


async def all_written(dsn: str, calls: int) -> None:
    """Wait until so many calls are in the table."""
    async with _connected(dsn) as connection, asyncio.timeout(30):
        while await _count(connection) < calls:
            await asyncio.sleep(0.02)


async def written(dsn: str) -> int:
    """How many calls are in the table."""
    async with _connected(dsn) as connection:
        return await _count(connection)


@asynccontextmanager
async def _connected(dsn: str) -> "AsyncIterator[asyncpg.Connection[Any]]":
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def _count(connection: "asyncpg.Connection[Any]") -> int:
    return int(await connection.fetchval("SELECT count(*) FROM call_observation"))
