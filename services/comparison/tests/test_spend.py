"""What workspaces have spent, on a real bus and database: each call once, and published for the edges."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from fairlead_common.bus.rpc import RpcClient
from fairlead_common.events.calls import CallKind
from fairlead_common.operations import calls
from fairlead_common.snapshots.follower import SnapshotFollower
from fairlead_common.snapshots.spend import SpendSnapshot
from nats.aio.client import Client

from services.comparison.tests.running import all_written, running
from services.comparison.tests.traffic import call, frame
from tests.support.waiting import until


@pytest.fixture
async def followed(nats_client: Client) -> AsyncIterator[SnapshotFollower[SpendSnapshot]]:
    follower = SnapshotFollower("spend", SpendSnapshot.model_validate_json)
    task = asyncio.create_task(follower.follow(nats_client))
    yield follower
    task.cancel()


async def test_each_call_is_charged_once_to_its_workspace_and_day(
    nats_url: str, postgres_dsn: str, nats_client: Client, followed: SnapshotFollower[SpendSnapshot]
) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=30, microsecond=0)
    last = call(at=today + timedelta(seconds=5), cost_usd=0.25)
    ours = frame(call(at=today, cost_usd=0.5), last, call(at=today, cost_usd=None), source="edge-1")
    more = frame(
        call(at=today, cost_usd=1.0),
        call(at=today, cost_usd=2.0, kind=CallKind.PROBE),
        call(at=today, cost_usd=4.0, kind=CallKind.ABTEST),
        call(at=today, cost_usd=8.0, workspace_id=2),
        call(at=today - timedelta(days=1), cost_usd=16.0),
        source="edge-2",
    )
    async with running(nats_url, postgres_dsn, spend_every_s=0.2):
        for each in (ours, more, ours, more):
            await nats_client.jetstream().publish(each.subject, each.to_json())
        await all_written(postgres_dsn, 8)
        await until(lambda: "1" in followed and followed["1"].day_usd == pytest.approx(5.75))
        await until(lambda: "2" in followed)
        at = calls.SpentQuery(workspace_id=1, at=today + timedelta(seconds=5))
        spent = await RpcClient(nats_client).call(calls.SPENT, at)
    found = followed["1"]
    same_month = (today - timedelta(days=1)).month == today.month
    assert found.month_usd == pytest.approx(21.75 if same_month else 5.75)
    assert spent.today_usd == pytest.approx(5.5)
    assert spent.month_usd == pytest.approx(21.5 if same_month else 5.5)
    assert found.unpriced_calls == 1
    assert found.counted["edge-1"] == (last.started_at + timedelta(milliseconds=last.duration_ms)).timestamp()
    assert set(found.counted) == {"edge-1", "edge-2"}
    assert followed["2"].day_usd == pytest.approx(8.0)
