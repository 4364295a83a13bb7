"""The routing service on a real bus and database: rules and their versions, and the table that edges follow."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from fairlead_common.bus.rpc import RpcClient, RpcError
from fairlead_common.db.database import Database
from fairlead_common.operations import routing as ops
from fairlead_common.snapshots.follower import SnapshotFollower
from fairlead_common.snapshots.publisher import SnapshotPublisher
from fairlead_common.snapshots.routes import RoutesSnapshot
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.catalog.entries import built_in
from fairlead_models.providers import BUILT_IN
from fairlead_routing.app import wire
from fairlead_routing.settings import RoutingSettings
from fairlead_routing.store import RoutingStore
from fairlead_routing.tables import Tables
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
    settings = RoutingSettings(
        nats_url=SecretStr(nats_url),
        postgres_dsn=SecretStr(dsn),
        http_port=free_port(),
        instance=instance,
        quality_every_s=0.2,
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

        await edge.rpc.call(ops.DELETE, ops.DeleteRule(workspace_id=1, rule_id=late.id))
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
            await edge.rpc.call(ops.DELETE, ops.DeleteRule(workspace_id=2, rule_id=kept.id))
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


async def change(edge: Edge, rule: ops.Rule, by: str | None = None, **fields: object) -> ops.Rule:
    """Replace the fields of a rule."""
    given = {**rule.model_dump(include=set(ops.RuleIn.model_fields)), **fields}
    request = ops.ReplaceRule(
        workspace_id=1, rule_id=rule.id, rule=ops.RuleIn.model_validate(given), changed_by=by
    )
    return await edge.rpc.call(ops.REPLACE, request)


async def test_every_change_can_be_listed_compared_and_undone(
    nats_url: str, postgres_dsn: str, edge: Edge
) -> None:
    async with running(nats_url, postgres_dsn):
        one, two = await edge.create("one", priority=1), await edge.create("two", priority=2)
        assert (one.version, two.version) == (1, 2)
        await change(edge, one, "ada", name="away")
        await change(edge, two, "ada", name="one", strategy="cost")
        delete = ops.DeleteRule(workspace_id=1, rule_id=one.id, changed_by="bob")
        await edge.rpc.call(ops.DELETE, delete)
        found = await edge.rpc.call(ops.CHANGES, ops.ChangesQuery(workspace_id=1))
        assert [(each.version, each.action, each.changed_by) for each in found.changes] == [
            (5, "deleted", "bob"),
            (4, "changed", "ada"),
            (3, "changed", "ada"),
            (2, "created", None),
            (1, "created", None),
        ]
        of_two = ops.ChangesQuery(workspace_id=1, rule_id=two.id, before=4)
        assert [each.version for each in (await edge.rpc.call(ops.CHANGES, of_two)).changes] == [2]
        diff = await edge.rpc.call(ops.DIFF, ops.DiffQuery(workspace_id=1, since=2, until=5))
        assert [(each.rule_id, each.before and each.before["name"], each.after) for each in diff.rules] == [
            (one.id, "one", None),
            (two.id, "two", {"name": "one", "strategy": "cost"}),
        ]
        restored = await edge.rpc.call(
            ops.RESTORE, ops.RestoreTable(workspace_id=1, version=2, changed_by="ada")
        )
        assert [(rule.id, rule.name) for rule in restored.rules] == [(one.id, "one"), (two.id, "two")]
        assert await edge.until_version(6) == ["one", "two"]
        then = await edge.rpc.call(ops.TABLE_THEN, ops.AtVersion(workspace_id=1, version=4))
        assert [(rule.name, rule.version) for rule in then.rules] == [("away", 3), ("one", 4)]
        undone = await edge.rpc.call(ops.RESTORE, ops.RestoreTable(workspace_id=1, version=5))
        assert [(rule.name, rule.version) for rule in undone.rules] == [("one", 7)]
        newest = await edge.rpc.call(ops.CHANGES, ops.ChangesQuery(workspace_id=1, limit=2))
        assert [(each.version, each.action) for each in newest.changes] == [(7, "deleted"), (7, "restored")]
        with pytest.raises(RpcError, match="there is no version 99") as refused:
            await edge.rpc.call(ops.RESTORE, ops.RestoreTable(workspace_id=1, version=99))
        assert (refused.value.status, refused.value.code) == (404, "unknown_version")
        other = await edge.rpc.call(ops.CHANGES, ops.ChangesQuery(workspace_id=2))
        assert (other.current, other.changes) == (0, [])


async def test_a_table_that_fails_its_trial_leaves_the_last_good_one_in_force(
    nats_client: Client, database: Database, edge: Edge
) -> None:
    store = RoutingStore(database)
    catalog = Catalog(built_in(datetime(2026, 11, 25, tzinfo=UTC)), BUILT_IN)
    tables = Tables(nats_client, store, lambda _: catalog, {})
    good = ops.RuleIn(name="good", strategy="cost", conditions={"providers": ["openai"]})
    made = await store.create(1, good, None)
    await tables.publish()
    assert await edge.until_version(1) == ["good"]
    nobody = {"targets": ["class:balanced"], "providers": ["openai"], "exclude_providers": ["openai"]}
    bad = await store.create(1, good.model_copy(update={"name": "bad", "conditions": nobody}), None)
    await store.replace(1, made["id"], good.model_copy(update={"name": "better"}), None)
    await tables.publish()
    found = await SnapshotPublisher(nats_client, "routes").read("1")
    assert found is not None
    assert RoutesSnapshot.model_validate_json(found[1]).version == 1
    await store.delete(1, bad["id"], None)
    await tables.publish()
    assert await edge.until_version(4) == ["better"]
