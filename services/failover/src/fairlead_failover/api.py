"""The operations failover answers; errors become refusals here and nowhere else."""

import asyncio

from fairlead_common.bus.rpc import Empty, RpcError
from fairlead_common.events.health import ProviderStatus
from fairlead_common.operations import failover as ops
from fairlead_common.snapshots.failover import FleetSnapshot
from fairlead_common.snapshots.loop import SnapshotLoop
from fairlead_common.snapshots.publisher import SnapshotPublisher
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from sqlalchemy import RowMapping
from sqlalchemy.exc import IntegrityError

from fairlead_failover.controller import ACT_SUBJECT, FLEET_KEY, JOB
from fairlead_failover.records import policy_of
from fairlead_failover.store import FailoverStore

POLICY = "policy."
ACT_TIMEOUT_S = 4.0
ACT_AGAIN_S = 0.1


class FailoverApi:
    """One method per operation."""

    def __init__(
        self, client: Client, store: FailoverStore, policies: SnapshotLoop, providers: frozenset[str]
    ) -> None:
        self._client = client
        self._store = store
        self._policies = policies
        self._providers = providers
        self._fleet = SnapshotPublisher(client, "failover")
        self._status = SnapshotPublisher(client, "provider-status")
        self._leases = SnapshotPublisher(client, "leases")

    async def get_config(self, request: ops.OfWorkspace) -> ops.FailoverConfig:
        """What is stored, or the defaults as version 0."""
        row = await self._store.config(request.workspace_id)
        if row is None:
            return ops.FailoverConfig(workspace_id=request.workspace_id, version=0)
        return _config(row)

    async def put_config(self, request: ops.PutConfig) -> ops.FailoverConfig:
        """Create or replace."""
        config = request.config
        for name in (config.primary_provider, *config.fallback_providers):
            if name is not None and name not in self._providers:
                known = ", ".join(sorted(self._providers))
                raise RpcError(
                    422, "unknown_provider", f"provider '{name}' is not configured; configured are {known}"
                )
        if len(set(config.fallback_providers)) != len(config.fallback_providers):
            raise RpcError(422, "duplicate_provider", "fallback_providers names a provider twice")
        try:
            row = await self._store.put_config(request.workspace_id, config)
        except IntegrityError as error:
            raise RpcError(
                404, "unknown_workspace", f"there is no workspace {request.workspace_id}"
            ) from error
        await self._policies.poke(self._client)
        return _config(row)

    async def delete_config(self, request: ops.OfWorkspace) -> Empty:
        """Back to the defaults."""
        await self._store.delete_config(request.workspace_id)
        await self._policies.poke(self._client)
        return Empty()

    async def state(self, request: Empty) -> ops.FailoverState:
        """From the snapshots, so that any replica can answer, with or without a database."""
        found = await self._fleet.read(FLEET_KEY)
        snapshot = FleetSnapshot.model_validate_json(found[1]) if found else FleetSnapshot(version=0)
        lease = await self._leases.read(JOB)
        gates = [
            ops.GateOut(
                provider=provider,
                state=gate.state.value,
                share=gate.share,
                since=gate.since,
                reason=gate.reason,
                sequence=gate.sequence,
                status=_status_word(await self._status.read(provider)),
            )
            for provider, gate in sorted({**snapshot.closed, **snapshot.gates}.items())
        ]
        controller = lease[1].decode().partition(":")[0] or None if lease else None
        return ops.FailoverState(controller=controller, gates=gates)

    async def open(self, request: ops.SwitchIn) -> ops.FailoverState:
        """Take a provider out by hand."""
        return await self._act("open", request)

    async def recover(self, request: ops.SwitchIn) -> ops.FailoverState:
        """Bring a provider back by hand."""
        return await self._act("recover", request)

    async def _act(self, verb: str, request: ops.SwitchIn) -> ops.FailoverState:
        if request.provider not in self._providers:
            known = ", ".join(sorted(self._providers))
            raise RpcError(
                404,
                "unknown_provider",
                f"provider '{request.provider}' is not configured; configured are {known}",
            )
        await self._ask_controller(f"{verb} {request.provider} {request.reason}".encode())
        return await self.state(Empty())

    async def _ask_controller(self, body: bytes) -> None:
        """A controller that is just taking over is waited for."""
        try:
            async with asyncio.timeout(ACT_TIMEOUT_S):
                while True:
                    try:
                        await self._client.request(ACT_SUBJECT, body, timeout=ACT_TIMEOUT_S)
                    except NoRespondersError:
                        await asyncio.sleep(ACT_AGAIN_S)
                    else:
                        return
        except (NatsError, OSError, TimeoutError) as error:
            raise RpcError(
                503, "no_controller", "no replica controls the fleet at this moment; try again"
            ) from error

    async def events(self, request: ops.EventsQuery) -> ops.Events:
        """The log."""
        rows = await self._store.log(request.workspace_id, request.provider, request.limit)
        return ops.Events(events=[ops.EventOut.model_validate(dict(row)) for row in rows])

    async def analytics(self, request: ops.OfWorkspace) -> ops.Analytics:
        """Sums of the log."""
        rows = await self._store.analytics(request.workspace_id)
        switched = {row["provider"]: row["n"] for row in rows if row["kind"] == "switched"}
        back = [row for row in rows if row["kind"] == "recovered"]
        count = sum(row["n"] for row in back)
        longest = [row["longest_s"] for row in back if row["longest_s"] is not None]
        return ops.Analytics(
            switched=sum(switched.values()),
            recovered=count,
            open_now=await self._store.open_now(request.workspace_id),
            mean_time_to_recover_s=sum(row["total_s"] or 0.0 for row in back) / count if count else None,
            longest_s=max(longest) if longest else None,
            by_provider=switched,
        )


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


def _config(row: RowMapping) -> ops.FailoverConfig:
    return ops.FailoverConfig.model_validate(dict(row))


def _status_word(found: tuple[int, bytes] | None) -> str:
    return "unknown" if found is None else ProviderStatus.model_validate_json(found[1]).status.value
