"""The operations failover answers; errors become refusals here and nowhere else."""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from fairlead_common.access import DEFAULT_WORKSPACE
from fairlead_common.bus.rpc import Empty, RpcClient, RpcError, RpcUnavailable
from fairlead_common.decisions.gate_records import HoldKind
from fairlead_common.decisions.targets import Target
from fairlead_common.events.health import ProviderStatus
from fairlead_common.ids import utc_now
from fairlead_common.operations import calls
from fairlead_common.operations import failover as ops
from fairlead_common.snapshots.failover import FleetGate, FleetSnapshot, PolicySnapshot
from fairlead_common.snapshots.loop import SnapshotLoop
from fairlead_common.snapshots.publisher import SnapshotPublisher
from fairlead_models.catalog.catalog import Catalog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from sqlalchemy import RowMapping
from sqlalchemy.exc import IntegrityError

from fairlead_failover.acts import ACT_SUBJECT, TAKEN, Act
from fairlead_failover.analytics import figures
from fairlead_failover.checks import Refused, check
from fairlead_failover.controller import JOB
from fairlead_failover.dryrun import dry_run
from fairlead_failover.news import FLEET_KEY
from fairlead_failover.records import policy_of
from fairlead_failover.store import FailoverStore

logger = logging.getLogger(__name__)

POLICY = "policy."
ANALYTICS_SPAN: Final = timedelta(days=30)
ACT_TIMEOUT_S = 4.0
ACT_AGAIN_S = 0.1
NOT_PUBLISHED: Final = (
    "the controller has done this, but the edges could not be told yet; they will be as soon as the bus takes it;"
    " if the state does not show it in a few seconds, send it again, which does no harm"
)


class FailoverApi:
    """One method per operation."""

    def __init__(
        self,
        client: Client,
        store: FailoverStore,
        policies: SnapshotLoop,
        providers: frozenset[str],
        catalog: Callable[[int], Catalog],
    ) -> None:
        self._client = client
        self._store = store
        self._policies = policies
        self._providers = providers
        self._catalog = catalog
        self._fleet = SnapshotPublisher(client, "failover")
        self._status = SnapshotPublisher(client, "provider-status")
        self._rpc = RpcClient(client)
        self._leases = SnapshotPublisher(client, "leases")

    async def get_config(self, request: ops.OfWorkspace) -> ops.FailoverConfig:
        """What is stored, or the defaults as version 0."""
        row = await self._store.config(request.workspace_id)
        if row is None:
            return ops.FailoverConfig(workspace_id=request.workspace_id, version=0)
        return _config(row)

    async def put_config(self, request: ops.PutConfig) -> ops.FailoverConfig:
        """Create or replace."""
        try:
            warnings = check(request.config, self._catalog(request.workspace_id), self._providers)
        except Refused as error:
            raise RpcError(422, error.code, str(error)) from error
        try:
            row = await self._store.put_config(request.workspace_id, request.config, request.changed_by)
        except IntegrityError as error:
            raise RpcError(
                404, "unknown_workspace", f"there is no workspace {request.workspace_id}"
            ) from error
        await self._policies.poke(self._client)
        return _config(row).model_copy(update={"warnings": warnings})

    async def delete_config(self, request: ops.DeleteConfig) -> Empty:
        """Back to the defaults."""
        await self._store.delete_config(request.workspace_id, request.changed_by)
        await self._policies.poke(self._client)
        return Empty()

    async def versions(self, request: ops.OfWorkspace) -> ops.ConfigVersions:
        """Who changed what, and when."""
        rows = await self._store.versions(request.workspace_id)
        return ops.ConfigVersions(versions=[ops.ConfigVersion.model_validate(dict(row)) for row in rows])

    async def restore(self, request: ops.RestoreConfig) -> ops.FailoverConfig:
        """A former version again, checked against what is there now."""
        rows = await self._store.versions(request.workspace_id, request.version)
        if not rows:
            text = f"there is no version {request.version} of the failover configuration"
            raise RpcError(404, "unknown_version", text)
        former = ops.ConfigVersion.model_validate(dict(rows[0])).config
        put = ops.PutConfig(workspace_id=request.workspace_id, config=former, changed_by=request.changed_by)
        return await self.put_config(put)

    async def state(self, request: Empty) -> ops.FailoverState:
        """From the snapshots, so that any replica can answer, with or without a database."""
        found = await self._fleet.read(FLEET_KEY)
        snapshot = FleetSnapshot.model_validate_json(found[1]) if found else FleetSnapshot(version=0)
        lease = await self._leases.read(JOB)
        gates = [
            _gate(key, gate, _status_word(await self._status.read(key.partition("/")[0])))
            for key, gate in sorted({**snapshot.closed, **snapshot.gates}.items())
        ]
        controller = lease[1].decode().partition(":")[0] or None if lease else None
        return ops.FailoverState(controller=controller, gates=gates)

    async def hold(self, request: ops.Hold) -> ops.FailoverState:
        """Force a switch, drain, or pin, until a time."""
        until = ends_at(request, time.time())
        act = Act(key=request.key, kind=HoldKind(request.kind), until=until, reason=request.reason)
        state = await self._act(request.provider, act)
        return state.model_copy(update={"warnings": self._doubts(request)})

    async def release(self, request: ops.TargetIn) -> ops.FailoverState:
        """End a hold, or bring back by hand what is open."""
        return await self._act(request.provider, Act(key=request.key, kind=None, reason=request.reason))

    def _doubts(self, request: ops.Hold) -> list[str]:
        """Providers may have models that no catalog knows, so that a hold of one is none to refuse."""
        catalog = self._catalog(DEFAULT_WORKSPACE)
        if request.model is None or Target(request.provider, request.model) in catalog.entries:
            return []
        names = catalog.meant(request.key)
        return [f"'{request.key}' is not in the catalog; the hold is for those who call it so; {names}"]

    async def _act(self, provider: str, act: Act) -> ops.FailoverState:
        if provider not in self._providers:
            known = ", ".join(sorted(self._providers))
            raise RpcError(
                404, "unknown_provider", f"provider '{provider}' is not configured; configured are {known}"
            )
        if await self._ask_controller(act.model_dump_json().encode()) == TAKEN:
            raise RpcError(503, "not_published", NOT_PUBLISHED)
        return await self.state(Empty())

    async def _ask_controller(self, body: bytes) -> bytes:
        """Its answer. A controller that is just taking over is waited for."""
        try:
            async with asyncio.timeout(ACT_TIMEOUT_S):
                while True:
                    try:
                        message = await self._client.request(ACT_SUBJECT, body, timeout=ACT_TIMEOUT_S)
                    except NoRespondersError:
                        await asyncio.sleep(ACT_AGAIN_S)
                    else:
                        return message.data
        except (NatsError, OSError, TimeoutError) as error:
            raise RpcError(
                503, "no_controller", "no replica controls the fleet at this moment; try again"
            ) from error

    async def events(self, request: ops.EventsQuery) -> ops.Events:
        """The log."""
        rows = await self._store.log(request.workspace_id, request.provider, request.limit)
        return ops.Events(events=[ops.EventOut.model_validate(dict(row)) for row in rows])

    async def analytics(self, request: ops.AnalyticsQuery) -> ops.Analytics:
        """Sums of the log, and of the calls as comparison has stored them."""
        until = request.until or utc_now()
        since = request.since or until - ANALYTICS_SPAN
        rows = await self._store.analytics(request.workspace_id, since, until, request.provider)
        return figures(
            rows,
            since,
            until,
            await self._store.open_now(request.workspace_id, request.provider),
            await self._rescues(request, since, until),
        )

    async def dry_run(self, request: ops.DryRunIn) -> ops.DryRun:
        """What the triggers of a configuration would have moved, from the calls that the bus still has."""
        try:
            check(request.config, self._catalog(request.workspace_id), self._providers)
        except Refused as error:
            raise RpcError(422, error.code, str(error)) from error
        policy = PolicySnapshot(
            workspace_id=request.workspace_id,
            version=0,
            enabled=request.config.enabled,
            rules=tuple(request.config.rules),
        )
        until = utc_now()
        return await dry_run(self._client, policy, until - timedelta(hours=request.hours), until)

    async def _rescues(
        self, request: ops.AnalyticsQuery, since: datetime, until: datetime
    ) -> list[calls.Rescue] | None:
        """None when comparison does not answer."""
        asked = calls.RescuesQuery(workspace_id=request.workspace_id, since=since, until=until)
        try:
            found = (await self._rpc.call(calls.RESCUES, asked)).providers
        except (RpcError, RpcUnavailable) as error:
            logger.warning("the figures of calls cannot be had: %s", error)
            return None
        return [each for each in found if request.provider in (None, each.provider)]


class Policies:
    """Publishes a ``policy.<workspace>`` snapshot for each configuration."""

    def __init__(self, client: Client, store: FailoverStore) -> None:
        self._store = store
        self._publisher = SnapshotPublisher(client, "failover")

    async def publish(self) -> None:
        """Put what changed, remove what is gone."""
        policies = {f"{POLICY}{row['workspace_id']}": policy_of(row) for row in await self._store.configs()}
        for key, policy in policies.items():
            await self._publisher.put(key, policy)
        for key in await self._publisher.keys():
            if key.startswith(POLICY) and key not in policies:
                await self._publisher.delete(key)


def ends_at(hold: ops.Hold, now: float) -> float:
    """Unix time of the end. Raises RpcError when that is past, or further away than holds may last."""
    if hold.ends_at is None:
        return now + (hold.duration_s or ops.DEFAULT_HOLD_S)
    until = hold.ends_at.timestamp()
    if not now < until <= now + ops.MAX_HOLD_S:
        days = ops.MAX_HOLD_S / 86400
        raise RpcError(
            422, "bad_end", f"ends_at must lie in the future, by at most {days:g} days; found {hold.ends_at}"
        )
    return until


def _gate(key: str, gate: FleetGate, status: str) -> ops.GateOut:
    provider, _, model = key.partition("/")
    return ops.GateOut(
        provider=provider,
        model=model or None,
        state=gate.state.value,
        share=gate.share,
        since=gate.since,
        retry_at=gate.retry_at,
        cause=gate.cause or None,
        reason=gate.reason,
        sequence=gate.sequence,
        status=status,
        hold=gate.hold,
        hold_until=gate.hold_until,
    )


def _config(row: RowMapping) -> ops.FailoverConfig:
    return ops.FailoverConfig.model_validate(dict(row))


def _status_word(found: tuple[int, bytes] | None) -> str:
    return "unknown" if found is None else ProviderStatus.model_validate_json(found[1]).status.value
