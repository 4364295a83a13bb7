"""Alerts delivered by the running service to a real receiver: in order, again when refused, and again after a kill."""

from pathlib import Path
from typing import Any

import pytest
from fairlead_common.bus.reading import read_last
from fairlead_common.bus.rpc import Empty, RpcClient, RpcError
from fairlead_common.db.database import Database
from fairlead_common.operations import alerts as alert_ops
from fairlead_common.operations import notifiers as ops
from fairlead_simulator.testing import Running
from nats.aio.client import Client
from sqlalchemy import text

from services.health.tests.receiver import receiver
from services.health.tests.running import (
    DOWN,
    Observer,
    environment,
    eventually,
    fail,
    providers_file,
    running,
)
from tests.support.processes import service_process
from tests.support.waiting import until


async def put(rpc: RpcClient, *notifiers: dict[str, Any]) -> None:
    quick = {"alertnames": ["down"], "group_wait_s": 0, "group_interval_s": 1}
    for_down: list[dict[str, Any]] = [{**quick, **each} for each in notifiers]
    await rpc.call(ops.PUT_NOTIFIERS, ops.NotifiersIn(notifiers=for_down, by="ann"))


async def until_log(rpc: RpcClient, expected: list[tuple[str, str, int]], **query: Any) -> list[ops.Delivery]:
    """The log, oldest first, once it has these (status, state, attempts)."""

    async def reached() -> list[ops.Delivery]:
        found = (await rpc.call(ops.DELIVERIES, ops.DeliveriesQuery(**query))).deliveries[::-1]
        return found if [(each.status, each.state, len(each.attempts)) for each in found] == expected else []

    found: list[ops.Delivery] = await eventually(reached)
    return found


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise imports it
async def test_an_alert_is_delivered_in_order_again_when_refused_and_logged(
    nats_url: str,
    postgres_dsn: str,
    nats_client: Client,
    openai: Running,
    observer: Observer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NOTIFIER_KEY", "s3cret")
    rpc, providers = RpcClient(nats_client), providers_file(tmp_path, openai=openai.url)
    async with receiver() as hook, receiver() as pager, receiver() as picky:
        monkeypatch.setenv("NOTIFIER_APPRISE", hook.url.replace("http", "json", 1) + "/apprise")
        hook.statuses, picky.statuses = [503], [400]
        async with running(nats_url, postgres_dsn, providers):
            await put(
                rpc,
                {
                    "name": "hook",
                    "kind": "webhook",
                    "url": f"{hook.url}/a",
                    "headers": {"Authorization": "Bearer ${NOTIFIER_KEY}"},
                },
                {"name": "pager", "kind": "pagerduty", "routing_key": "${NOTIFIER_KEY}", "url": pager.url},
                {"name": "picky", "kind": "webhook", "url": picky.url},
                {"name": "silent", "kind": "webhook", "url": picky.url, "severities": ["info"]},
                {"name": "chat", "kind": "apprise", "url": "${NOTIFIER_APPRISE}", "alertnames": ["degraded"]},
            )
            stored = (await rpc.call(ops.NOTIFIERS, Empty())).model_dump_json()
            assert "s3cret" not in stored
            assert "${NOTIFIER_KEY}" in stored

            await observer.until_status("openai", "healthy")
            await fail(nats_client, openai)
            (alert,) = await observer.until_alerts(["firing"], DOWN)
            (delivery,) = await until_log(rpc, [("firing", "delivered", 2)], notifier="hook")
            refused, taken = delivery.attempts
            assert (refused.ok, refused.http_status, refused.error) == (False, 503, "refused with 503: no")
            assert (taken.ok, taken.http_status, taken.error) == (True, 200, None)
            assert hook.headers[0]["authorization"] == "Bearer s3cret"
            await rpc.call(alert_ops.ACKNOWLEDGE, alert_ops.Acknowledge(alert_id=alert.alert_id, by="ann"))
            await observer.until_alerts(["firing", "acknowledged"], DOWN)
            await openai.clear()
            await observer.until_alerts(["firing", "acknowledged", "resolved"], DOWN)
            await until_log(rpc, [("firing", "delivered", 2), ("resolved", "delivered", 1)], notifier="hook")
            assert hook.told == [("down", "firing"), ("down", "firing"), ("down", "resolved")]
            await until(lambda: len(pager.bodies) == 3)
            assert [body["event_action"] for body in pager.bodies] == ["trigger", "acknowledge", "resolve"]
            (key,) = {body["dedup_key"] for body in pager.bodies}
            assert key.endswith(f":{alert.alert_id}")

            first, _ = await until_log(
                rpc, [("firing", "dead", 1), ("resolved", "delivered", 1)], notifier="picky"
            )
            assert first.attempts[0].error == "refused with 400: no"
            letters = await read_last(nats_client, "DLQ", f"dlq.{DOWN}")
            assert [(each.headers or {})["Fairlead-Error"] for each in letters] == ["refused with 400: no"]
            silent = ops.DeliveriesQuery(notifier="silent")
            assert (await rpc.call(ops.DELIVERIES, silent)).deliveries == []

            tested = await rpc.call(ops.TEST_NOTIFIER, ops.OneNotifier(name="chat"))
            assert (tested.fired.ok, tested.resolved.ok) == (True, True)
            assert [
                body["title"] for body, path in zip(hook.bodies, hook.paths, strict=True) if "apprise" in path
            ] == [
                "[info] a test of this notifier",
                "[resolved] a test of this notifier",
            ]
            with pytest.raises(RpcError, match="there is no notifier 'x'"):
                await rpc.call(ops.TEST_NOTIFIER, ops.OneNotifier(name="x"))


async def test_what_was_sent_when_the_process_was_killed_is_sent_again_under_the_same_key(
    nats_url: str,
    postgres_dsn: str,
    database: Database,
    nats_client: Client,
    openai: Running,
    observer: Observer,
    tmp_path: Path,
) -> None:
    rpc, providers = RpcClient(nats_client), providers_file(tmp_path, openai=openai.url)
    told = {**environment(nats_url, postgres_dsn, providers, "one"), "NOTIFIER_KEY": "key"}
    async with receiver() as pager:
        pager.statuses = [0]
        notifier = {"name": "pager", "kind": "pagerduty", "routing_key": "${NOTIFIER_KEY}", "url": pager.url}
        async with service_process("health", told, tmp_path / "one.log") as one:
            await observer.until_status("openai", "healthy")
            await put(rpc, notifier)
            await fail(nats_client, openai)
            await until(lambda: len(pager.bodies) == 1)
            await one.kill()
        async with database.transaction() as session:  # instead of waiting until the claim is over
            await (await session.connection()).execute(text("UPDATE alert_delivery SET due_at = now()"))
        async with service_process("health", told, tmp_path / "two.log"):
            (delivery,) = await until_log(rpc, [("firing", "delivered", 1)])
            assert [each.alertname for each in delivery.alerts] == ["down"]
        assert pager.bodies[0] == pager.bodies[1]
        assert len(pager.bodies) == 2


async def test_an_alert_that_waits_for_its_group_when_the_process_is_killed_is_told_once(
    nats_url: str,
    postgres_dsn: str,
    database: Database,
    nats_client: Client,
    openai: Running,
    observer: Observer,
    tmp_path: Path,
) -> None:
    rpc, providers = RpcClient(nats_client), providers_file(tmp_path, openai=openai.url)
    told = environment(nats_url, postgres_dsn, providers, "one")

    async def waits() -> bool:
        rows = await database.fetch("SELECT alert_id FROM alert_group_member WHERE waiting_since IS NOT NULL")
        return len(rows) == 1

    async with receiver() as hook:
        notifier = {"name": "hook", "kind": "webhook", "url": hook.url}
        waiting = {**notifier, "group_wait_s": 3600, "group_interval_s": 3600, "repeat_interval_s": None}
        async with service_process("health", told, tmp_path / "one.log") as one:
            await observer.until_status("openai", "healthy")
            await put(rpc, waiting)
            await fail(nats_client, openai)
            await eventually(waits)
            await one.kill()
        assert hook.bodies == []
        async with service_process("health", told, tmp_path / "two.log"):
            await put(rpc, {**waiting, "group_wait_s": 0})
            (delivery,) = await until_log(rpc, [("firing", "delivered", 1)])
            assert [each.alertname for each in delivery.alerts] == ["down"]
        assert hook.told == [("down", "firing")]
