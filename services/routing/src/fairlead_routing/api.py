"""The operations routing answers; errors become refusals here and nowhere else."""

from fairlead_common.bus.rpc import Empty, RpcError
from fairlead_common.decisions.conditions import ConditionError, compile_conditions
from fairlead_common.decisions.strategies import SCORES
from fairlead_common.operations import routing as ops
from fairlead_common.snapshots.loop import SnapshotLoop
from fairlead_common.snapshots.publisher import SnapshotPublisher
from fairlead_common.snapshots.routes import RoutesSnapshot, RuleSnapshot
from nats.aio.client import Client
from sqlalchemy import RowMapping
from sqlalchemy.exc import IntegrityError

from fairlead_routing.store import RoutingStore

FOREIGN_KEY_VIOLATION = "23503"


class RoutingApi:
    """One method per operation."""

    def __init__(self, client: Client, store: RoutingStore, tables: SnapshotLoop) -> None:
        self._client = client
        self._store = store
        self._tables = tables
        self._routes = SnapshotPublisher(client, "routes")

    async def list(self, request: ops.OfWorkspace) -> ops.Rules:
        """All rules."""
        return ops.Rules(rules=[_rule(row) for row in await self._store.rules(request.workspace_id)])

    async def get(self, request: ops.OneRule) -> ops.Rule:
        """One rule."""
        return _found(await self._store.rule(request.workspace_id, request.rule_id), request.rule_id)

    async def create(self, request: ops.CreateRule) -> ops.Rule:
        """Add a rule."""
        _check(request.rule)
        try:
            row = await self._store.create(request.workspace_id, request.rule)
        except IntegrityError as error:
            raise _conflict(error, request.workspace_id, request.rule) from error
        await self._tables.poke(self._client)
        return _rule(row)

    async def replace(self, request: ops.ReplaceRule) -> ops.Rule:
        """Change a rule."""
        _check(request.rule)
        try:
            row = await self._store.replace(request.workspace_id, request.rule_id, request.rule)
        except IntegrityError as error:
            raise _conflict(error, request.workspace_id, request.rule) from error
        found = _found(row, request.rule_id)
        await self._tables.poke(self._client)
        return found

    async def delete(self, request: ops.OneRule) -> Empty:
        """Remove a rule."""
        if not await self._store.delete(request.workspace_id, request.rule_id):
            raise _missing(request.rule_id)
        await self._tables.poke(self._client)
        return Empty()

    async def table(self, request: ops.OfWorkspace) -> RoutesSnapshot:
        """The snapshot in force, or an empty one as version 0."""
        found = await self._routes.read(str(request.workspace_id))
        if found is None:
            return RoutesSnapshot(workspace_id=request.workspace_id, version=0)
        return RoutesSnapshot.model_validate_json(found[1])


class Tables:
    """Publishes the table of each workspace."""

    def __init__(self, client: Client, store: RoutingStore) -> None:
        self._store = store
        self._publisher = SnapshotPublisher(client, "routes")

    async def publish(self) -> None:
        """Put what changed, remove what is gone."""
        tables = await self._store.tables()
        for key in set(await self._publisher.keys()) - {str(workspace_id) for workspace_id, _, _ in tables}:
            await self._publisher.delete(key)
        for workspace_id, version, rows in tables:
            rules = tuple(
                RuleSnapshot(
                    rule_id=row["id"],
                    name=row["name"],
                    strategy=row["strategy"],
                    priority=row["priority"],
                    conditions=row["conditions"],
                )
                for row in rows
            )
            snapshot = RoutesSnapshot(workspace_id=workspace_id, version=version, rules=rules)
            await self._publisher.put(str(workspace_id), snapshot)


def _check(rule: ops.RuleIn) -> None:
    if rule.strategy not in SCORES:
        known = ", ".join(SCORES)
        raise RpcError(422, "unknown_strategy", f"there is no strategy '{rule.strategy}'; there are {known}")
    try:
        compile_conditions(rule.conditions)
    except ConditionError as error:
        raise RpcError(422, "invalid_conditions", str(error)) from error


def _rule(row: RowMapping) -> ops.Rule:
    return ops.Rule.model_validate(dict(row))


def _found(row: RowMapping | None, rule_id: int) -> ops.Rule:
    if row is None:
        raise _missing(rule_id)
    return _rule(row)


def _missing(rule_id: int) -> RpcError:
    return RpcError(404, "unknown_rule", f"there is no rule {rule_id} in this workspace")


def _conflict(error: IntegrityError, workspace_id: int, rule: ops.RuleIn) -> RpcError:
    if getattr(error.orig, "sqlstate", None) == FOREIGN_KEY_VIOLATION:
        return RpcError(404, "unknown_workspace", f"there is no workspace {workspace_id}")
    return RpcError(409, "name_taken", f"there is a rule '{rule.name}' already; choose another name")
