"""The learned predictor on a real bus and database: checked, kept in versions, followed by edges."""

import asyncio
from collections.abc import AsyncIterator

import orjson
import pytest
from fairlead_common.bus.rpc import RpcClient, RpcError
from fairlead_common.decisions.clusters import features
from fairlead_common.ids import utc_now
from fairlead_common.operations import routing_predictor as ops
from fairlead_common.operations.routing import CREATE, CreateRule, OfWorkspace, RuleIn
from fairlead_common.operations.routing_decide import DECIDE, DecideQuery, Features
from fairlead_common.snapshots.follower import SnapshotFollower
from fairlead_common.snapshots.predictor import LearnedTable, PredictorSnapshot
from fairlead_common.snapshots.publisher import SnapshotPublisher
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.catalog.entries import built_in
from fairlead_models.catalog.workspaces import ALL
from fairlead_models.providers import BUILT_IN
from nats.aio.client import Client

from services.routing.tests.test_service import running
from tests.support.waiting import until

ONE = OfWorkspace(workspace_id=1)
MODEL = "openai/gpt-5.4-mini"
WORD = "sums"
WORDS = [(bucket, 1.0) for bucket in features(WORD)]


def table(low: float = 0.01, **quality: float) -> LearnedTable:
    evaluation = {"source": "s", "prompts": 9, "seed": 0, "gain": 0.1, "low": low, "high": 0.2}
    cluster = {"prompts": 5, "quality": {MODEL: 0.5} | quality, "words": WORDS}
    return LearnedTable.model_validate({"evaluation": evaluation, "clusters": [cluster]})


class Edge:
    """Publishes the catalog, follows the predictors and asks for changes, as an edge does."""

    def __init__(self, client: Client) -> None:
        self.rpc = RpcClient(client)
        self.followed = SnapshotFollower("predictor", PredictorSnapshot.model_validate_json)
        self.job = asyncio.create_task(self.followed.follow(client))

    async def install(self, found: LearnedTable, workspace_id: int = 1) -> ops.Predictor:
        request = ops.InstallPredictor(workspace_id=workspace_id, table=found, changed_by="key-1")
        return await self.rpc.call(ops.INSTALL_PREDICTOR, request)

    async def until_version(self, version: int | None) -> None:
        await until(lambda: (self.followed["1"].version if "1" in self.followed else None) == version)


@pytest.fixture
async def edge(nats_url: str, postgres_dsn: str, nats_client: Client) -> AsyncIterator[Edge]:
    async with running(nats_url, postgres_dsn):
        found = Edge(nats_client)
        catalog = Catalog(built_in(utc_now()), BUILT_IN)
        await SnapshotPublisher(nats_client, "catalog").put(ALL, orjson.dumps(catalog.to_snapshot()))
        yield found
        found.job.cancel()


async def known(edge: Edge) -> None:
    """Wait until the service knows the catalog."""
    while True:
        try:
            await edge.install(table(low=-0.01))
        except RpcError as error:
            if error.status != 503:
                return
            await asyncio.sleep(0.02)


async def test_a_table_is_installed_replaced_removed_and_restored(edge: Edge) -> None:
    await known(edge)
    with pytest.raises(RpcError, match="without a learned predictor"):
        await edge.rpc.call(ops.PREDICTOR, ONE)
    first = await edge.install(table())
    assert (first.version, first.action, first.changed_by) == (1, "installed", "key-1")
    assert first.table is not None
    assert (first.table.clusters, first.table.models) == (1, [MODEL])
    await edge.until_version(1)
    assert edge.followed["1"].table == table()
    await edge.install(table(low=0.02))
    await edge.until_version(2)
    await edge.rpc.call(ops.REMOVE_PREDICTOR, ops.RemovePredictor(workspace_id=1))
    await edge.until_version(None)
    with pytest.raises(RpcError, match="without a learned predictor"):
        await edge.rpc.call(ops.REMOVE_PREDICTOR, ops.RemovePredictor(workspace_id=1))
    restored = await edge.rpc.call(
        ops.RESTORE_PREDICTOR, ops.RestorePredictor(workspace_id=1, version=1, changed_by="key-2")
    )
    assert (restored.version, restored.table) == (4, first.table)
    await edge.until_version(4)
    assert edge.followed["1"].table == table()
    versions = (await edge.rpc.call(ops.PREDICTOR_VERSIONS, ONE)).versions
    assert [(each.version, each.action, each.changed_by) for each in versions] == [
        (4, "restored", "key-2"),
        (3, "removed", None),
        (2, "installed", "key-1"),
        (1, "installed", "key-1"),
    ]
    assert await edge.rpc.call(ops.PREDICTOR, ONE) == versions[0]


async def test_what_must_not_decide_is_refused_with_the_reason_and_changes_nothing(edge: Edge) -> None:
    await known(edge)
    words = [[bucket, 0.123456789] for bucket in range(1000)]
    cluster = {"prompts": 5, "quality": {MODEL: 0.5}, "words": words}
    large = LearnedTable.model_validate({"evaluation": table().evaluation, "clusters": [cluster] * 100})
    for bad, code, text in (
        (table(low=0.0), "not_better", "does not exclude a loss"),
        (table(**{"gpt-9": 0.5, "openai/none": 0.5}), "unknown_model", "no model gpt-9, openai/none;"),
        (large, "table_too_large", "edges take 524,288"),
    ):
        with pytest.raises(RpcError) as refused:
            await edge.install(bad)
        assert (refused.value.status, refused.value.code) == (422, code)
        assert text in refused.value.message
    with pytest.raises(RpcError, match="there is no workspace 77"):
        await edge.install(table(), workspace_id=77)
    with pytest.raises(RpcError, match="version 1 has no table"):
        await edge.rpc.call(ops.RESTORE_PREDICTOR, ops.RestorePredictor(workspace_id=1, version=1))
    assert (await edge.rpc.call(ops.PREDICTOR_VERSIONS, ONE)).versions == []


async def test_only_the_latest_versions_are_kept(edge: Edge) -> None:
    await known(edge)
    for _ in range(22):
        await edge.install(table())
    kept = (await edge.rpc.call(ops.PREDICTOR_VERSIONS, ONE)).versions
    assert [kept[0].version, kept[-1].version] == [22, 3]


async def test_the_service_decides_by_it_when_it_is_asked(edge: Edge) -> None:
    await known(edge)
    await edge.install(table(**{"google/gemini-3.8-flash": 1.0}))
    targets: dict[str, object] = {"targets": [MODEL, "google/gemini-3.8-flash"]}
    rule = RuleIn(name="best", strategy="quality", conditions=targets)
    await edge.rpc.call(CREATE, CreateRule(workspace_id=1, rule=rule))
    query = DecideQuery(workspace_id=1, request=Features(model="auto", prompt=WORD))
    async with asyncio.timeout(30):
        while (await edge.rpc.call(DECIDE, query)).target != "google/gemini-3.8-flash":
            await asyncio.sleep(0.02)
