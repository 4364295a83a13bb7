"""Real servers for every test that needs one: a NATS server per test, a Postgres server per run with a database per test."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from fairlead_common.bus.connection import connect
from fairlead_common.bus.topology import apply
from fairlead_common.db.database import Database
from fairlead_common.db.upgrade import upgrade
from fairlead_common.ids import new_id
from nats.aio.client import Client

from tests.support.servers import NatsServer, postgres


@pytest.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A fresh server with the whole topology applied."""
    folder = tmp_path / "nats"
    folder.mkdir()
    server = NatsServer(folder)
    server.start()
    try:
        await server.ready()
        client = await connect(server.url, "test-setup")
        await apply(client)
        await client.close()
        yield server
    finally:
        server.kill()


@pytest.fixture
async def nats_url(nats_server: NatsServer) -> str:
    """URL of a fresh server with the topology applied."""
    return nats_server.url


@pytest.fixture
async def nats_client(nats_server: NatsServer) -> AsyncIterator[Client]:
    """A connection to ``nats_server``."""
    client = await connect(nats_server.url, "test")
    yield client
    await client.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """DSN of a server whose ``template_fairlead`` database is migrated to the head."""
    with postgres() as dsn:
        asyncio.run(_make_template(dsn))
        yield dsn


async def _make_template(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE DATABASE template_fairlead")
    await connection.close()
    await upgrade(database_dsn(dsn, "template_fairlead"))


def database_dsn(dsn: str, database: str) -> str:
    """``dsn`` with another database name."""
    head, _, options = dsn.partition("?")
    base = head.rsplit("/", 1)[0]
    return f"{base}/{database}" + (f"?{options}" if options else "")


@pytest.fixture
async def postgres_dsn(postgres_server: str) -> AsyncIterator[str]:
    """DSN of a fresh, migrated database."""
    name = "t" + new_id().replace("-", "")
    admin = await asyncpg.connect(postgres_server)
    try:
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE template_fairlead")
        yield database_dsn(postgres_server, name)
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


@pytest.fixture
async def database(postgres_dsn: str) -> AsyncIterator[Database]:
    """A ``Database`` on a fresh, migrated database."""
    found = Database(postgres_dsn)
    yield found
    await found.close()
