"""One engine per process: transactions through SQLAlchemy's async session, and asyncpg itself for COPY."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy import RowMapping, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession


class DsnError(Exception):
    """The DSN cannot be used; the message says what was expected and never repeats the password."""


def engine_url(dsn: str) -> URL:
    """``postgresql://...`` as SQLAlchemy's URL for asyncpg.

    Raises:
        DsnError: not a Postgres DSN.
    """
    try:
        url = make_url(dsn)
    except ArgumentError:
        raise DsnError(
            "the Postgres DSN cannot be parsed; expected postgresql://user:password@host:port/database"
        ) from None
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise DsnError(f"the DSN must start with postgresql://, not {url.drivername}://")
    return url.set(drivername="postgresql+asyncpg")


class Database:
    """Lazy: the first query connects. Every connection is checked before use, so a restarted server heals by itself."""

    def __init__(self, dsn: str, *, pool_size: int = 5, application_name: str = "fairlead") -> None:
        self.engine: AsyncEngine = create_async_engine(
            engine_url(dsn),
            pool_size=pool_size,
            max_overflow=5,
            pool_pre_ping=True,
            pool_recycle=1800,
            connect_args={
                "timeout": 5,
                "command_timeout": 60,
                "server_settings": {"application_name": application_name},
            },
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session in one transaction: committed at the end, rolled back on any error."""
        async with AsyncSession(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    async def fetch(self, query: str, **values: Any) -> list[RowMapping]:
        """The rows of one statement in a transaction of its own; see ``fetch`` for more than one in the same."""
        async with self.transaction() as session:
            return await fetch(session, query, **values)

    @asynccontextmanager
    async def copying(self) -> "AsyncIterator[asyncpg.Connection[Any]]":
        """The driver's own connection inside one transaction, for COPY and hand-written SQL in bulk."""
        async with self.engine.connect() as connection:
            raw = await connection.get_raw_connection()
            driver = raw.driver_connection
            if not isinstance(
                driver, asyncpg.Connection
            ):  # pragma: no cover - the engine is built on asyncpg above
                raise TypeError(f"expected asyncpg's connection, found {type(driver).__name__}")
            async with driver.transaction():
                yield driver

    async def ping(self) -> None:
        """``select 1``.

        Raises:
            Exception: whatever the driver says when the server is not there.
        """
        async with self.engine.connect() as connection:
            await connection.execute(text("select 1"))

    async def close(self) -> None:
        """Close every pooled connection."""
        await self.engine.dispose()


async def fetch(session: AsyncSession, query: str, **values: Any) -> list[RowMapping]:
    """The rows that a statement gives; none for one that gives no rows. ``values`` are its ``:names``."""
    result = await (await session.connection()).execute(text(query), values)
    return list(result.mappings()) if result.returns_rows else []
