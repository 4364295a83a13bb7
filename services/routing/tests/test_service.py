"""The routing service on a real bus and database: rules and their versions, and the table that edges follow."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fairlead_common.bus.rpc import RpcClient, RpcError
from fairlead_common.db.database import Database
from fairlead_common.operations import routing as ops
from fairlead_common.settings import Settings
from fairlead_common.snapshots.follower import SnapshotFollower
from fairlead_common.snapshots.publisher import SnapshotPublisher
from fairlead_common.snapshots.routes import RoutesSnapshot
from fairlead_routing.app import wire
from nats.aio.client import Client
from pydantic import SecretStr, ValidationError
from sqlalchemy import text

from tests.support.servers import NatsServer, free_port
from tests.support.services import service_here
from tests.support.waiting import until

ONE = ops.OfWorkspace(workspace_id=1)


@asynccontextmanager
async def running(nats_url: str, dsn: str, instance: str = "one") -> AsyncIterator[None]:
    """Run the service in this process until the block ends; yields when its subscribers run."""
    settings = Settings(
        nats_url=SecretStr(nats_url), postgres_dsn=SecretStr(dsn), http_port=free_port(), instance=instance
    )
    async with service_here("routing", settings, wire):
        yield


class Edge:
    """Follows the tables, as every edge does, and asks for changes, as its control API does."""

    def __init__(self, client: Client) -> None:
        self.rpc = RpcClient(client)
        self.tables = SnapshotFollower("routes", RoutesSnapshot.model_validate_json)
        self._task = asyncio.create_task(self.tables.follow(client))

    async def until_version(self, version: int, workspace: str = "1") -> list[str]:
        """Names of the rules, once their table has this version."""
        await until(lambda: workspace in self.tables and self.tables[workspace].version == version)
        return [rule.name for rule in self.tables[workspace].rules]

    async def create(self, name: str, workspace_id: int = 1, **fields: object) -> ops.Rule:
        rule = ops.RuleIn.model_validate({"name": name, "strategy": "latency", **fields})
        return await self.rpc.call(ops.CREATE, ops.CreateRule(workspace_id=workspace_id, rule=rule))

    def stop(self) -> None:
        self._task.cancel()


@pytest.fixture
async def edge(nats_client: Client) -> AsyncIterator[Edge]:
    found = Edge(nats_client)
    yield found
    found.stop()


async def test_rules_are_made_read_changed_and_removed_and_each_change_is_a_version(
    nats_url: str, postgres_dsn: str, edge: Edge
) -> None:
    async with running(nats_url, postgres_dsn):
        assert (await edge.rpc.call(ops.LIST, ONE)).rules == []
        assert (await edge.rpc.call(ops.TABLE, ONE)).version == 0
        late = await edge.create("late", priority=200, conditions={"models": ["gpt-*"]})
        early = await edge.create("early", priority=10, strategy="cost")
        assert await edge.until_version(2) == ["early", "late"]
        assert edge.tables["1"].rules[1].conditions == {"models": ["gpt-*"]}
        assert [rule.name for rule in (await edge.rpc.call(ops.LIST, ONE)).rules] == ["early", "late"]

        off = ops.RuleIn(name="early", strategy="cost", priority=300, enabled=False)
        await edge.rpc.call(ops.REPLACE, ops.ReplaceRule(workspace_id=1, rule_id=early.id, rule=off))
        assert await edge.until_version(3) == ["late"]
        found = await edge.rpc.call(ops.GET, ops.OneRule(workspace_id=1, rule_id=early.id))
        assert (found.enabled, found.priority) == (False, 300)

        await edge.rpc.call(ops.DELETE, ops.OneRule(workspace_id=1, rule_id=late.id))
        assert await edge.until_version(4) == []
        assert await edge.rpc.call(ops.TABLE, ONE) == edge.tables["1"]


BAD_CONDITIONS = [
    ({"modles": ["gpt-*"]}, "conditions.modles is not a condition; did you mean 'models'?"),
    ({"xyzzy": 1}, "conditions.xyzzy is not a condition; known are "),
    ({"models": []}, "conditions.models must be"),
    ({"min_quality": 2}, "conditions.min_quality must be"),
    ({"min_input_tokens": 9, "max_input_tokens": 5}, "min_input_tokens"),
    ({"weights": {"speed": 1}}, "conditions.weights must be"),
]


async def test_what_cannot_be_used_is_refused_and_changes_nothing(
    nats_url: str, postgres_dsn: str, edge: Edge
) -> None:
    async with running(nats_url, postgres_dsn):
        kept = await edge.create("kept")
        for conditions, message in BAD_CONDITIONS:
            with pytest.raises(RpcError) as refused:
                await edge.create("bad", conditions=conditions)
            assert (refused.value.status, refused.value.code) == (422, "invalid_conditions")
            assert message in refused.value.message
        with pytest.raises(RpcError, match="there is no strategy 'fastest'") as refused:
            await edge.create("bad", strategy="fastest")
        assert refused.value.status == 422
        with pytest.raises(RpcError, match="there is a rule 'kept' already") as refused:
            await edge.create("kept")
        assert (refused.value.status, refused.value.code) == (409, "name_taken")
        with pytest.raises(RpcError, match="there is no workspace 77") as refused:
            await edge.create("elsewhere", workspace_id=77)
        assert refused.value.status == 404
        elsewhere = ops.OneRule(workspace_id=2, rule_id=kept.id)
        missing = f"there is no rule {kept.id} in this workspace"
        with pytest.raises(RpcError, match=missing):
            await edge.rpc.call(ops.GET, elsewhere)
        with pytest.raises(RpcError, match=missing):
            await edge.rpc.call(ops.DELETE, elsewhere)
        assert await edge.until_version(1) == ["kept"]
        assert (await edge.rpc.call(ops.TABLE, ONE)).version == 1


@pytest.mark.parametrize("name", ["", "-x", "a" * 81, "a\nb"])
def test_a_rule_needs_a_name_that_can_be_shown(name: str) -> None:
    with pytest.raises(ValidationError):
        ops.RuleIn(name=name, strategy="cost")


async def test_tables_survive_the_service_and_go_with_their_workspace(
    nats_url: str, postgres_dsn: str, database: Database, edge: Edge
) -> None:
    async with database.transaction() as session:
        connection = await session.connection()
        await connection.execute(text("INSERT INTO workspace (id, name) VALUES (5, 'five')"))
    async with running(nats_url, postgres_dsn):
        await edge.create("one")
        await edge.create("five", workspace_id=5)
        assert await edge.until_version(1, "5") == ["five"]
    assert await edge.until_version(1) == ["one"]
    async with database.transaction() as session:
        await (await session.connection()).execute(text("DELETE FROM workspace WHERE id = 5"))
    async with running(nats_url, postgres_dsn, "another"):
        await until(lambda: "5" not in edge.tables)
        assert await edge.until_version(1) == ["one"]


async def test_a_change_at_one_replica_is_published_by_the_other_that_holds_the_lease(
    nats_url: str, postgres_dsn: str, edge: Edge
) -> None:
    async with running(nats_url, postgres_dsn, "one"), running(nats_url, postgres_dsn, "two"):
        for i in range(8):
            await edge.create(f"rule {i}")
        assert await edge.until_version(8) == [f"rule {i}" for i in range(8)]


async def test_a_table_that_was_lost_with_the_bus_is_published_again(
    nats_server: NatsServer, postgres_dsn: str, nats_client: Client, edge: Edge
) -> None:
    async with running(nats_server.url, postgres_dsn):
        await edge.create("kept")
        await edge.until_version(1)
        nats_server.kill()
        nats_server.start()
        await nats_server.ready()
        await SnapshotPublisher(nats_client, "routes").delete("1")
        await until(lambda: "1" not in edge.tables)
        assert await edge.until_version(1) == ["kept"]
