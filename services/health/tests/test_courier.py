"""Groups in a real Postgres and a real receiver: several couriers, what is half done, what is older than groups."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fairlead_common.bus.publishing import JetStreamPublisher
from fairlead_common.db.database import Database
from fairlead_common.events.alerts import AlertRaised
from fairlead_common.operations.notifiers import AnyNotifier, DeliveriesQuery, Delivery
from fairlead_health.alert_store import AlertStore
from fairlead_health.delivery.courier import MAX_PAUSE_S, Courier, pause_s
from fairlead_health.delivery.groups import GroupStore
from fairlead_health.delivery.senders import Sender
from fairlead_health.delivery.store import DeliveryStore
from fairlead_health.domain.grouping import Group, Look, labels_of_group, look
from fairlead_health.domain.notifiers import NOTIFIER
from fairlead_health.metrics import DeliveryMetrics
from fairlead_health.notifiers import SECTION, NotifierBook
from fairlead_models.transport.http1 import Http1Transport
from nats.aio.client import Client
from prometheus_client import CollectorRegistry

from services.health.tests.receiver import Receiver, receiver
from services.health.tests.running import eventually
from services.health.tests.test_grouping import A, F, R, alert
from tests.support.waiting import until

SECRETS = {"NOTIFIER_KEY": "key"}
LONG: dict[str, Any] = {"group_wait_s": 3600, "group_interval_s": 3600, "repeat_interval_s": None}
QUICK: dict[str, Any] = {"group_wait_s": 0, "group_interval_s": 1, "repeat_interval_s": None}


def pager(to: Receiver, **given: Any) -> AnyNotifier:
    raw = {"name": "pager", "kind": "pagerduty", "routing_key": "${NOTIFIER_KEY}", "url": to.url}
    return NOTIFIER.validate_python({**raw, **given})


async def put(database: Database, *notifiers: AnyNotifier) -> None:
    content = [each.model_dump(mode="json") for each in notifiers]
    await AlertStore(database).put_config(SECTION, content, None, "ann", "")


async def arrive(database: Database, to: AnyNotifier, *alerts: AlertRaised) -> None:
    for each in alerts:
        await GroupStore(database).arrive(each, {to.name: labels_of_group(to, each)})


@asynccontextmanager
async def couriers(database: Database, nats_client: Client, count: int = 1) -> AsyncIterator[Courier]:
    """So many replicas deliver until the block ends; yields one of them."""
    transport = Http1Transport()
    sender = Sender(transport, SECRETS)
    replicas = [
        Courier(
            JetStreamPublisher(nats_client.jetstream()),
            GroupStore(database),
            DeliveryStore(database),
            NotifierBook(AlertStore(database)),
            sender,
            DeliveryMetrics(CollectorRegistry()),
        )
        for _ in range(count)
    ]
    tasks = [asyncio.create_task(each.run()) for each in replicas]
    try:
        yield replicas[0]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await transport.close()


async def until_delivered(database: Database, count: int) -> list[Delivery]:
    """The log, oldest first, once so many were delivered."""
    store = DeliveryStore(database)

    async def delivered() -> list[Delivery]:
        found = (await store.deliveries(DeliveriesQuery(state="delivered")))[::-1]
        return found if len(found) >= count else []

    found: list[Delivery] = await eventually(delivered)
    return found


def keys(to: Receiver) -> list[tuple[str, str]]:
    return [(body["event_action"], body["dedup_key"]) for body in to.bodies]


async def test_an_outage_is_one_page_whoever_takes_part(database: Database, nats_client: Client) -> None:
    async with receiver() as there:
        to = pager(there, **LONG)
        await put(database, to)
        outage = [alert(f"p{each:02}", F) for each in range(30)]
        await arrive(database, to, *outage)
        async with couriers(database, nats_client, 3) as courier:
            await put(database, pager(there, **{**LONG, "group_wait_s": 0}))
            await courier.regroup()
            (page,) = await until_delivered(database, 1)
        assert sorted(each.provider for each in page.alerts) == [each.provider for each in outage]
        (body,) = there.bodies
        assert body["payload"]["custom_details"]["num_firing"] == "30"
        by_alert = await DeliveryStore(database).deliveries(DeliveriesQuery(alert_id="p07-1"))
        assert [each.id for each in by_alert] == [page.id]


async def test_transitions_from_before_there_were_groups_are_delivered_and_ended_under_their_key(
    database: Database, nats_client: Client
) -> None:
    told, waiting = alert("told", F), alert("waiting", F)
    async with receiver() as there:
        to = pager(there, **QUICK)
        await put(database, to)
        for each, state in ((told, "delivered"), (waiting, "waiting")):
            await database.fetch(
                "INSERT INTO alert_delivery (notifier, alert_id, fingerprint, sequence, status, payload, state)"
                " VALUES ('pager', :alert_id, :fingerprint, 1, 'firing', CAST(:payload AS jsonb), :state)",
                alert_id=each.alert_id,
                fingerprint=each.fingerprint,
                payload=each.to_json().decode(),
                state=state,
            )
        async with couriers(database, nats_client) as courier:
            await until_delivered(database, 2)
            await arrive(database, to, alert("told", R, 2), alert("waiting", R, 2))
            await courier.regroup()
            log = await until_delivered(database, 4)
    assert [(each.status, [one.provider for one in each.alerts]) for each in log[:2]] == [
        (F, ["told"]),
        (F, ["waiting"]),
    ]
    assert keys(there)[0] == ("trigger", waiting.dedup_key)
    assert sorted(keys(there)[1:]) == sorted([("resolve", told.dedup_key), ("resolve", waiting.dedup_key)])


async def test_what_comes_after_an_acknowledgement_is_an_incident_of_its_own(
    database: Database, nats_client: Client
) -> None:
    async with receiver() as there:
        to = pager(there, **QUICK)
        await put(database, to)
        steps = [
            (alert("a", F),),
            (alert("a", A, 2),),
            (alert("b", F),),
            (alert("a", R, 3), alert("b", R, 2)),
        ]
        for told, happened in zip((1, 2, 3, 5), steps, strict=True):
            await arrive(database, to, *happened)
            async with couriers(database, nats_client):
                await until_delivered(database, told)
    first, second = there.bodies[0]["dedup_key"], there.bodies[2]["dedup_key"]
    assert first != second
    assert keys(there)[:3] == [("trigger", first), ("acknowledge", first), ("trigger", second)]
    assert sorted(keys(there)[3:]) == sorted([("resolve", first), ("resolve", second)])
    assert await database.fetch("SELECT id FROM alert_group") == []


async def test_a_receiver_that_hangs_holds_nobody_else_up(database: Database, nats_client: Client) -> None:
    async with receiver() as hung, receiver() as there:
        hung.statuses = [0]
        slow, to = pager(hung, name="slow", **QUICK), pager(there, **QUICK)
        await put(database, slow, to)
        await arrive(database, slow, alert("a", F))
        async with couriers(database, nats_client) as courier:
            await until(lambda: len(hung.bodies) == 1)
            await arrive(database, to, alert("b", F))
            await courier.regroup()
            (delivered,) = await until_delivered(database, 1)
            (waiting,) = await DeliveryStore(database).deliveries(DeliveriesQuery(notifier="slow"))
    assert delivered.notifier == "pager"
    assert (waiting.state, waiting.attempts) == ("waiting", [])


async def test_what_one_group_tells_is_noted_and_queued_together_or_not_at_all(database: Database) -> None:
    to = NOTIFIER.validate_python({"name": "hook", "kind": "webhook", "url": "http://127.0.0.1", **QUICK})
    await arrive(database, to, alert("a", F))

    async def judged(_: str, group: Group, now: float) -> Look:
        return look(group, to, now)

    async def dies(_: str, group: Group, now: float) -> Look:
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        await GroupStore(database).look(dies)
    assert await GroupStore(database).look(judged)
    (queued,) = await DeliveryStore(database).deliveries(DeliveriesQuery())
    assert (queued.state, queued.group_labels) == ("waiting", {"alertname": "down"})
    await arrive(database, to, alert("a", F))
    assert not await GroupStore(database).look(judged)


async def test_what_is_set_while_a_group_is_looked_at_holds_for_it(database: Database) -> None:
    to = NOTIFIER.validate_python({"name": "hook", "kind": "webhook", "url": "http://127.0.0.1", **LONG})
    await arrive(database, to, alert("a", F))
    changing: list[asyncio.Task[None]] = []

    async def meanwhile(_: str, group: Group, now: float) -> Look:
        changing.append(asyncio.create_task(GroupStore(database).look_again()))
        return look(group, to, now)

    assert await GroupStore(database).look(meanwhile)
    await asyncio.gather(*changing)
    due_in_s = await DeliveryStore(database).next_due_in_s()
    assert due_in_s is not None
    assert due_in_s <= 0


@pytest.mark.parametrize(
    ("due_in_s", "expected"),
    [(None, MAX_PAUSE_S), (1e6, MAX_PAUSE_S), (2.5, 2.5), (0.0, 0.0), (-3.0, 0.0)],
)
def test_couriers_sleep_until_something_is_due(due_in_s: float | None, expected: float) -> None:
    assert pause_s(due_in_s) == expected
