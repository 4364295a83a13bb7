"""The operations on rules and their versions; errors become refusals here and nowhere else."""

import asyncio
from collections.abc import Sequence

from fairlead_common.bus.rpc import Empty, RpcError
from fairlead_common.decisions.strategies import MEANINGS
from fairlead_common.operations import routing as ops
from fairlead_common.plugins import Plugin
from fairlead_common.snapshots.loop import SnapshotLoop
from fairlead_common.snapshots.publisher import SnapshotPublisher
from fairlead_common.snapshots.routes import RoutesSnapshot
from nats.aio.client import Client
from sqlalchemy import RowMapping
from sqlalchemy.exc import IntegrityError

from fairlead_routing.checks import Checks
from fairlead_routing.domain.versions import differences
from fairlead_routing.store import RoutingStore

FOREIGN_KEY_VIOLATION = "23503"


class RulesApi:
    """Rules: one method per operation."""

    def __init__(self, client: Client, store: RoutingStore, tables: SnapshotLoop, checks: Checks) -> None:
        self._client = client
        self._store = store
        self._tables = tables
        self._checks = checks
        self._routes = SnapshotPublisher(client, "routes")

    async def list(self, request: ops.OfWorkspace) -> ops.Rules:
        """All rules."""
        return ops.Rules(rules=[_rule(row) for row in await self._store.rules(request.workspace_id)])

    async def get(self, request: ops.OneRule) -> ops.Rule:
        """One rule."""
        return _found(await self._store.rule(request.workspace_id, request.rule_id), request.rule_id)

    async def create(self, request: ops.CreateRule) -> ops.Rule:
        """Add a rule."""
        others = await self._store.rules(request.workspace_id)
        warnings = await asyncio.to_thread(
            self._checks.check, request.workspace_id, request.rule, None, others
        )
        try:
            row = await self._store.create(request.workspace_id, request.rule, request.changed_by)
        except IntegrityError as error:
            raise _conflict(error, request.workspace_id, request.rule) from error
        await self._tables.poke(self._client)
        return _rule(row, warnings)

    async def replace(self, request: ops.ReplaceRule) -> ops.Rule:
        """Change a rule."""
        others = await self._store.rules(request.workspace_id)
        warnings = await asyncio.to_thread(
            self._checks.check, request.workspace_id, request.rule, request.rule_id, others
        )
        try:
            row = await self._store.replace(
                request.workspace_id, request.rule_id, request.rule, request.changed_by
            )
        except IntegrityError as error:
            raise _conflict(error, request.workspace_id, request.rule) from error
        found = _found(row, request.rule_id, warnings)
        await self._tables.poke(self._client)
        return found

    async def delete(self, request: ops.DeleteRule) -> Empty:
        """Remove a rule."""
        if not await self._store.delete(request.workspace_id, request.rule_id, request.changed_by):
            raise _missing(request.rule_id)
        await self._tables.poke(self._client)
        return Empty()

    async def table(self, request: ops.OfWorkspace) -> RoutesSnapshot:
        """The snapshot in force, or an empty one as version 0."""
        found = await self._routes.read(str(request.workspace_id))
        if found is None:
            return RoutesSnapshot(workspace_id=request.workspace_id, version=0)
        return RoutesSnapshot.model_validate_json(found[1])


class StrategiesApi:
    """What rules can choose by."""

    def __init__(self, plugins: Sequence[Plugin]) -> None:
        self._plugins = plugins

    async def strategies(self, request: Empty) -> ops.Strategies:
        """The built-in ones, then those of other packages."""
        built_in = [ops.StrategyOut(name=name, meaning=meaning) for name, meaning in MEANINGS.items()]
        others = [
            ops.StrategyOut(name=each.name, meaning=each.meaning, package=each.package, problem=each.problem)
            for each in self._plugins
        ]
        return ops.Strategies(strategies=[*built_in, *others])


class VersionsApi:
    """What became of the rules over time: one method per operation."""

    def __init__(self, client: Client, store: RoutingStore, tables: SnapshotLoop, rules: RulesApi) -> None:
        self._client = client
        self._store = store
        self._tables = tables
        self._rules = rules

    async def changes(self, request: ops.ChangesQuery) -> ops.Changes:
        """Changes, the newest first."""
        rows = await self._store.changes(request.workspace_id, request.rule_id, request.before, request.limit)
        published = await self._rules.table(ops.OfWorkspace(workspace_id=request.workspace_id))
        return ops.Changes(
            current=await self._store.current(request.workspace_id),
            published=published.version,
            changes=[ops.Change.model_validate(dict(row)) for row in rows],
        )

    async def table_then(self, request: ops.AtVersion) -> ops.TableThen:
        """All rules as they were."""
        await self._check(request.workspace_id, request.version)
        return ops.TableThen(
            version=request.version, rules=await self._at(request.workspace_id, request.version)
        )

    async def diff(self, request: ops.DiffQuery) -> ops.TableDiff:
        """What differs."""
        await self._check(request.workspace_id, max(request.since, request.until))
        before = await self._at(request.workspace_id, request.since)
        after = await self._at(request.workspace_id, request.until)
        return ops.TableDiff(since=request.since, until=request.until, rules=differences(before, after))

    async def restore(self, request: ops.RestoreTable) -> ops.TableThen:
        """Make the rules what they were; a new version."""
        await self._check(request.workspace_id, request.version)
        version = await self._store.restore(request.workspace_id, request.version, request.changed_by)
        await self._tables.poke(self._client)
        return ops.TableThen(version=version, rules=await self._at(request.workspace_id, version))

    async def _at(self, workspace_id: int, version: int) -> list[ops.RuleThen]:
        rows = await self._store.at_version(workspace_id, version)
        return [ops.RuleThen.model_validate(dict(row)) for row in rows]

    async def _check(self, workspace_id: int, version: int) -> None:
        current = await self._store.current(workspace_id)
        if version > current:
            text = f"there is no version {version} of this workspace's rules; the newest is {current}"
            raise RpcError(404, "unknown_version", text)


def _rule(row: RowMapping, warnings: "list[str] | None" = None) -> ops.Rule:
    return ops.Rule.model_validate({**row, "warnings": warnings or []})


def _found(row: RowMapping | None, rule_id: int, warnings: list[str] | None = None) -> ops.Rule:
    if row is None:
        raise _missing(rule_id)
    return _rule(row, warnings)


def _missing(rule_id: int) -> RpcError:
    return RpcError(404, "unknown_rule", f"there is no rule {rule_id} in this workspace")


def _conflict(error: IntegrityError, workspace_id: int, rule: ops.RuleIn) -> RpcError:
    if getattr(error.orig, "sqlstate", None) == FOREIGN_KEY_VIOLATION:
        return RpcError(404, "unknown_workspace", f"there is no workspace {workspace_id}")
    return RpcError(409, "name_taken", f"there is a rule '{rule.name}' already; choose another name")
