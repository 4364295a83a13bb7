"""What this edge knows: keys, catalog, rules, policies, the fleet's state, and its own breakers. All of it in memory.

Followers keep the snapshots current; each change rebuilds just what it touches, so a request only reads.
"""

import logging
import time
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from fairlead_common.access import AccessSnapshot, KeyEntry, key_hash
from fairlead_common.decisions.breaker import FRESH, BreakerSettings, BreakerState, admitted, gate, observed
from fairlead_common.decisions.conditions import ConditionError
from fairlead_common.decisions.plan import FleetView, Gate, GateState
from fairlead_common.decisions.routing import CompiledTable, compile_table
from fairlead_common.decisions.targets import Measured, Target
from fairlead_common.events.comparison import ProviderPerformance
from fairlead_common.events.health import ProviderStatus
from fairlead_common.outcomes import Bucket, ErrorClass
from fairlead_common.snapshots.failover import FleetSnapshot, PolicySnapshot
from fairlead_common.snapshots.follower import SnapshotFollower
from fairlead_common.snapshots.routes import RoutesSnapshot
from fairlead_models.catalog.catalog import Catalog, entries_of
from fairlead_models.catalog.entries import Entry
from nats.aio.client import Client

logger = logging.getLogger(__name__)

DEFAULT_TABLE = CompiledTable()
RATE_LIMIT_S = 5.0
"""How long a rate-limited target rests when the provider did not say."""
QUOTA_S = 300.0
"""How long a target without credit rests."""


class Fleet:
    """The edge's knowledge. ``breaker`` settings apply to each target on its own."""

    def __init__(
        self,
        providers: Iterable[str],
        entries: Iterable[Entry],
        disk: Path,
        breaker: BreakerSettings | None = None,
    ) -> None:
        self.breaker_settings = breaker or BreakerSettings()
        self._providers = tuple(providers)
        self._built_in = list(entries)
        self.catalog = Catalog(self._built_in, self._providers)
        self.keys: dict[str, KeyEntry] | None = None
        """By SHA-256; None = nothing known yet, neither from the bus nor from disk."""
        self.tables: dict[int, CompiledTable] = {}
        self.policies: dict[int, PolicySnapshot] = {}
        self._status: dict[str, str] = {}
        self._fleet_gates: dict[str, Gate] = {}
        self._measured: dict[Target, Measured] = {}
        self._breakers: dict[Target, BreakerState] = {}
        self._unwell: dict[Target, BreakerState] = {}
        self.access = SnapshotFollower(
            "access",
            AccessSnapshot.model_validate_json,
            disk=disk / "access.json",
            on_change=self._access_changed,
        )
        self.catalogs = SnapshotFollower(
            "catalog", _catalog, disk=disk / "catalog.json", on_change=self._catalog_changed
        )
        self.routes = SnapshotFollower(
            "routes",
            RoutesSnapshot.model_validate_json,
            disk=disk / "routes.json",
            on_change=self._routes_changed,
        )
        self.failover = SnapshotFollower(
            "failover", bytes, disk=disk / "failover.json", on_change=self._failover_changed
        )
        self.status = SnapshotFollower(
            "provider-status",
            ProviderStatus.model_validate_json,
            disk=disk / "status.json",
            on_change=self._status_changed,
        )
        self.performance = SnapshotFollower(
            "performance",
            ProviderPerformance.model_validate_json,
            disk=disk / "performance.json",
            on_change=self._performance_changed,
        )

    @property
    def followers(self) -> tuple[SnapshotFollower[Any], ...]:
        """All followers, to load and to run."""
        return (self.access, self.catalogs, self.routes, self.failover, self.status, self.performance)

    def load_disk(self) -> None:
        """Begin with what the last run knew."""
        for follower in self.followers:
            follower.load_disk()

    def jobs(self, client: Client) -> list[Callable[[], Coroutine[object, object, None]]]:
        """Endless jobs that keep everything current over ``client``."""
        return [partial(follower.follow, client) for follower in self.followers]

    def authenticate(self, key: str, now: float) -> KeyEntry | None:
        """The entry of ``key``, or None when it is unknown or has expired."""
        entry = (self.keys or {}).get(key_hash(key))
        if entry is not None and entry.expires_at is not None and entry.expires_at.timestamp() < now:
            return None
        return entry

    def view(self, now: float) -> FleetView:
        """What routing needs, as of now (Unix seconds)."""
        local = {target: gate(state, now, self.breaker_settings) for target, state in self._unwell.items()}
        return FleetView(self._status, self._fleet_gates, local, self._measured)

    def usable(self, target: Target, now: float) -> bool:
        """False when this process's breaker of ``target`` is open at this moment."""
        state = self._unwell.get(target)
        return state is None or gate(state, now, self.breaker_settings).state is not GateState.OPEN

    def sending(self, target: Target, now: float) -> None:
        """A call to ``target`` goes out."""
        state = self._unwell.get(target)
        if state is not None:
            self._keep(target, admitted(state, now, self.breaker_settings))

    def outcome(
        self,
        target: Target,
        error: ErrorClass | None,
        now: float,
        draw: float,
        retry_after_s: float | None = None,
    ) -> None:
        """What became of a call to ``target``; errors of the caller's own making say nothing about it."""
        if error is not None and error.bucket is Bucket.CALLER:
            return
        rest_s = None
        if error is not None and error.bucket is Bucket.LIMIT:
            rest_s = retry_after_s or (QUOTA_S if error is ErrorClass.QUOTA_EXHAUSTED else RATE_LIMIT_S)
        state = self._breakers.get(target, FRESH)
        self._keep(target, observed(state, self.breaker_settings, error is None, now, draw, rest_s))

    def _keep(self, target: Target, state: BreakerState) -> None:
        if state.state is GateState.CLOSED:
            self._unwell.pop(target, None)
        else:
            if target not in self._unwell:
                logger.warning("breaker of %s opened", target)
            self._unwell[target] = state
        self._breakers[target] = state

    @property
    def breakers(self) -> dict[Target, BreakerState]:
        """Breakers that have seen a failure, for people to look at."""
        return self._breakers

    def _access_changed(self, key: str) -> None:
        snapshot = self.access.get("keys")
        self.keys = None if snapshot is None else dict(snapshot.keys)

    def _catalog_changed(self, key: str) -> None:
        self.catalog = Catalog(self.catalogs.get("models", self._built_in), self._providers)

    def _routes_changed(self, key: str) -> None:
        for snapshot in self.routes.values():
            try:
                self.tables[snapshot.workspace_id] = compile_table(snapshot)
            except ConditionError:
                logger.exception(
                    "routes of workspace %d cannot be used; the former ones stay", snapshot.workspace_id
                )

    def _failover_changed(self, key: str) -> None:
        policies = {}
        gates: dict[str, Gate] = {}
        for name, data in self.failover.items():
            if name == "fleet":
                for provider, found in FleetSnapshot.model_validate_json(data).gates.items():
                    retry_at = found.retry_at.timestamp() if found.retry_at else None
                    gates[provider] = Gate(found.state, found.share, retry_at)
            elif name.startswith("policy."):
                policy = PolicySnapshot.model_validate_json(data)
                policies[policy.workspace_id] = policy
        self.policies, self._fleet_gates = policies, gates

    def _status_changed(self, key: str) -> None:
        self._status = {provider: found.status.value for provider, found in self.status.items()}

    def _performance_changed(self, key: str) -> None:
        self._measured = {
            Target(each.provider, each.model): Measured(
                each.calls,
                each.error_rate,
                each.latency_p50_ms,
                each.latency_p95_ms,
                each.ttft_p50_ms,
                each.cost_per_call_usd,
                each.quality,
            )
            for found in self.performance.values()
            for each in found.models
        }


def _catalog(data: bytes) -> list[Entry]:
    return entries_of(orjson.loads(data))


def unix_now() -> float:
    """The clock of the request path, in one place."""
    return time.time()
