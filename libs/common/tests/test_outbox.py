"""The outbox on a real database: events go out iff the transaction was committed, once, in order, whatever dies."""

import asyncio

import pytest
from fairlead_common.db import outbox
from fairlead_common.db.database import Database, DsnError
from fairlead_common.db.outbox import OutboxRelay
from fairlead_common.db.upgrade import head, upgrade
from fairlead_common.events.calls import CallsCompleted
from fairlead_common.ids import stamp
from sqlalchemy import text

from tests.support.waiting import until


class Bus:
    """Remembers what was sent; can be away."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.away = False

    async def send(self, subject: str, payload: bytes, headers: dict[str, str]) -> None:
        if self.away:
            raise ConnectionError("the bus is away")
        self.sent.append(headers["Nats-Msg-Id"])


def event() -> CallsCompleted:
    return CallsCompleted(**stamp(), source="test", calls=())


async def waiting(database: Database) -> int:
    async with database.transaction() as session:
        found = await (await session.connection()).execute(text("SELECT count(*) FROM outbox"))
        return int(found.scalar_one())


async def put_and_change_my_mind(database: Database) -> None:
    async with database.transaction() as session:
        await outbox.put(session, "toy", event())
        raise ValueError("changed my mind")


async def test_committed_events_are_sent_in_order_and_rolled_back_ones_never(database: Database) -> None:
    bus, events = Bus(), [event() for _ in range(3)]
    async with database.transaction() as session:
        for each in events:
            await outbox.put(session, "toy", each)
    with pytest.raises(ValueError, match="changed my mind"):
        await put_and_change_my_mind(database)
    relay = OutboxRelay(database, "toy", bus.send)
    assert await relay.send_batch() == 3
    assert bus.sent == [each.event_id for each in events]
    assert await waiting(database) == 0


async def test_nothing_is_lost_while_the_bus_is_away(database: Database) -> None:
    bus, one = Bus(), event()
    bus.away = True
    async with database.transaction() as session:
        await outbox.put(session, "toy", one)
    relay = OutboxRelay(database, "toy", bus.send)
    task = asyncio.create_task(relay.run())
    with pytest.raises(ConnectionError):
        await relay.send_batch()
    assert await waiting(database) == 1
    bus.away = False
    relay.wake()
    await until(lambda: bus.sent == [one.event_id])
    task.cancel()


async def test_replicas_share_the_work_without_sending_twice(database: Database) -> None:
    bus = Bus()
    async with database.transaction() as session:
        for _ in range(600):
            await outbox.put(session, "toy", event())
    relays = [OutboxRelay(database, "toy", bus.send) for _ in range(3)]
    while await waiting(database):
        await asyncio.gather(*(relay.send_batch() for relay in relays))
    assert len(bus.sent) == len(set(bus.sent)) == 600


async def test_another_owners_events_are_left_alone(database: Database) -> None:
    async with database.transaction() as session:
        await outbox.put(session, "other", event())
    assert await OutboxRelay(database, "toy", Bus().send).send_batch() == 0


async def test_upgrading_again_changes_nothing(postgres_dsn: str, database: Database) -> None:
    await asyncio.gather(upgrade(postgres_dsn), upgrade(postgres_dsn))
    async with database.transaction() as session:
        found = await (await session.connection()).execute(text("SELECT version_num FROM alembic_version"))
        assert found.scalars().all() == [head()]


@pytest.mark.parametrize("dsn", ["mysql://u:secret@host/db", "not a dsn"])
def test_a_wrong_dsn_is_named_without_its_password(dsn: str) -> None:
    with pytest.raises(DsnError, match="postgresql://") as refused:
        Database(dsn)
    assert "secret" not in str(refused.value)
