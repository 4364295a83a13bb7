"""A vendor's wire changes: edges see it, people are told once per kind, and once they have looked it is over."""

from contextlib import AsyncExitStack
from pathlib import Path

import httpx
from fairlead_common.bus.reading import read_since
from fairlead_common.db.database import Database
from fairlead_common.events.alerts import AlertRaised
from fairlead_common.events.edge import WireDriftSeen
from fairlead_common.ids import new_id, utc_now
from fairlead_common.snapshots.publisher import SnapshotPublisher
from fairlead_health.alert_store import AlertStore
from fairlead_health.domain.drift import raised
from fairlead_health.telling import LONG_AGO
from fairlead_simulator.testing import Running
from nats.aio.client import Client

from services.health.tests.running import Observer, eventually, providers_file, running
from tests.support.edge import edge_process, spec_of

ASK = {"model": "openai/gpt-5.4-mini", "messages": [{"role": "user", "content": "Hello"}]}
DRIFTS = "alerts.info.openai.wire_drift"
SEEN = WireDriftSeen(
    event_id="e",
    occurred_at=LONG_AGO,
    source="edge-1",
    provider="openai",
    kind="w:x.y",
    first_seen_at=LONG_AGO,
)


async def told(client: Client) -> list[WireDriftSeen]:
    """What the edges have told of, so far."""
    found = await read_since(client, "DRIFT", "provider.drift.>", LONG_AGO)
    return [WireDriftSeen.model_validate_json(each.data) for each in found]


async def ask_twice(folder: Path, openai: Running, nats_url: str, name: str, stack: AsyncExitStack) -> None:
    """Two calls through a new edge; it runs until the stack ends."""
    given = {"FAIRLEAD_NATS_URL": nats_url, "FAIRLEAD_INSTANCE": name}
    edge = await stack.enter_async_context(edge_process(folder, (spec_of(openai),), **given))
    for _ in range(2):
        answer: httpx.Response = await edge.client().post("/v1/chat/completions", json=ASK)
        assert answer.status_code == 200


async def test_each_kind_is_one_alert_whoever_sees_it_and_until_somebody_looks(
    nats_url: str,
    nats_client: Client,
    postgres_dsn: str,
    database: Database,
    openai: Running,
    observer: Observer,
    tmp_path: Path,
) -> None:
    await openai.fault("drift")
    providers = providers_file(tmp_path, openai=openai.url)
    async with AsyncExitStack() as edges:
        async with running(nats_url, postgres_dsn, providers):
            await ask_twice(tmp_path / "a", openai, nats_url, "edge-a", edges)

            async def heard() -> bool:
                found = await told(nats_client)
                return bool(found) and len(await observer.alerts(DRIFTS)) == len(found)

            await eventually(heard)
        alerts = await observer.alerts(DRIFTS)
        kinds = [each.kind for each in await told(nats_client)]
        assert len(kinds) == len(set(kinds))
        assert sorted(each.evidence.wire_drift for each in alerts) == sorted((kind,) for kind in kinds)
        assert any("x_simulated_field" in kind for kind in kinds)

        await ask_twice(tmp_path / "b", openai, nats_url, "edge-b", edges)

        async def second_told() -> bool:
            return {each.source for each in await told(nats_client)} == {"edge-a", "edge-b"}

        await eventually(second_told)
        async with running(nats_url, postgres_dsn, providers):
            await eventually(lambda: nothing_waits(nats_client))
            assert await observer.alerts(DRIFTS) == alerts

            first = alerts[0]
            await AlertStore(database).acknowledge(first.alert_id, "ada", "")

            async def over() -> AlertRaised | None:
                last = (await observer.alerts(DRIFTS))[-1]
                return last if last.status == "resolved" else None

            ended = await eventually(over)
            assert (ended.alert_id, ended.labels["acknowledged_by"]) == (first.alert_id, "ada")
            active = SnapshotPublisher(nats_client, "alerts-active")

            async def forgotten() -> bool:
                return first.fingerprint not in await active.keys()

            await eventually(forgotten)


async def nothing_waits(client: Client) -> bool:
    """Health has handled everything that the edges told."""
    found = await client.jetstream().consumer_info("DRIFT", "health-drift")
    return (found.num_pending, found.num_ack_pending) == (0, 0)


def test_a_silence_keeps_it_quiet() -> None:
    for silence, status in (
        ({"provider": "openai"}, "suppressed"),
        ({"alertname": "wire_drift"}, "suppressed"),
        ({"provider": "google"}, "firing"),
        ({"provider": "openai", "alertname": "down"}, "firing"),
    ):
        alert = raised(SEEN, utc_now(), new_id(), "https://runbooks", [silence])
        assert alert.status == status
    assert alert.subject == DRIFTS
    assert alert.annotations["runbook_url"] == "https://runbooks/wire_drift.md"


def test_two_replicas_raise_the_same_alert() -> None:
    one, two = (raised(SEEN, utc_now(), new_id(), "") for _ in range(2))
    assert (one.alert_id, one.msg_id) == (two.alert_id, two.msg_id)
    other = raised(SEEN.model_copy(update={"kind": "w:x.z"}), utc_now(), new_id(), "")
    assert other.fingerprint != one.fingerprint
