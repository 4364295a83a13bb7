"""What this edge knows: keys, catalog, rules, policies, the fleet's state, and its own breakers. All of it in memory.

Followers keep the snapshots current; each change rebuilds just what it touches, so a request only reads.
"""

import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fairlead_common.access import AccessSnapshot, KeyEntry, WorkspaceSettings, key_hash
from fairlead_common.decisions.breaker import BreakerSettings
from fairlead_common.decisions.budgets import budget_of
from fairlead_common.decisions.clusters import ClusterTable, Prediction
from fairlead_common.decisions.explain import Explanation, explain
from fairlead_common.decisions.plan import Budget, FleetView, NoCapacity, Plan, RouteRequest
from fairlead_common.decisions.policies import CompiledPolicy
from fairlead_common.decisions.quality import NO_SCORES, QualityTable
from fairlead_common.decisions.routing import make_plan
from fairlead_common.decisions.scores import UNMEASURED, expected_cost_usd
from fairlead_common.decisions.strategies import Score
from fairlead_common.decisions.table import CompiledTable
from fairlead_common.decisions.targets import Measured, Target
from fairlead_common.events.comparison import ProviderPerformance
from fairlead_common.events.health import ProviderStatus
from fairlead_common.snapshots import decoded
from fairlead_common.snapshots.drills import LiveDrill
from fairlead_common.snapshots.failover import FleetSnapshot
from fairlead_common.snapshots.follower import SnapshotFollower
from fairlead_common.snapshots.gates import NO_GATES, NO_POLICY_GATES, Gates, gates_of
from fairlead_common.snapshots.performance import measured_of
from fairlead_common.snapshots.spend import SpendSnapshot
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.catalog.entries import Entry
from fairlead_models.catalog.workspaces import ALL, Catalogs, own_entries, read_entries
from nats.aio.client import Client

from fairlead_edge.affinity import Affinity
from fairlead_edge.breakers import Breakers
from fairlead_edge.counting import TokenRatios
from fairlead_edge.headroom import Headroom
from fairlead_edge.spending import Spending

logger = logging.getLogger(__name__)

DEFAULT_TABLE = CompiledTable()
DEFAULT_SETTINGS = WorkspaceSettings()
ALONE_S = 90.0
"""Without the bus for this long, what the fleet said of its providers is no longer believed: our own breakers judge."""
NOTHING_KNOWN: Mapping[str, str] = {}


class Fleet:
    """The edge's knowledge. ``breaker`` settings apply to each target on its own."""

    def __init__(
        self,
        providers: Iterable[str],
        entries: Iterable[Entry],
        disk: Path,
        breaker: BreakerSettings | None = None,
        regions: Mapping[str, str] | None = None,
        plugins: Mapping[str, Score] | None = None,
        instance: str = "edge",
    ) -> None:
        self.clock: Callable[[], float] = unix_now
        """The time, in Unix seconds, by which is decided where a request goes; may be set to look at another hour."""
        self._providers = tuple(providers)
        self._built_in = list(entries)
        self.models = Catalogs(Catalog(self._built_in, self._providers), {})
        self.keys: dict[str, KeyEntry] | None = None
        """By SHA-256; None = nothing known yet, neither from the bus nor from disk."""
        self._settings: dict[int, WorkspaceSettings] = {}
        self.tables: dict[int, CompiledTable] = {}
        self.qualities: dict[int, QualityTable] = {}
        self._learned: dict[int, ClusterTable] = {}
        self.policies: dict[int, CompiledPolicy] = {}
        self.drills: tuple[LiveDrill, ...] = ()
        """Faults that are to be injected on purpose; some may be over."""
        self._status: dict[str, str] = {}
        self._gates = Gates()
        self._measured: dict[Target, Measured] = {}
        self._ttft_p95_s: dict[Target, float] = {}
        self.breakers = Breakers(breaker or BreakerSettings())
        self._turn = -1
        self.headroom = Headroom()
        self.affinity = Affinity()
        self.spending = Spending(instance)
        self.ratios = TokenRatios()
        self.in_flight: Counter[str] = Counter()
        """provider to calls of this process under way."""
        self._regions = dict(regions or {})
        self.access = SnapshotFollower(
            "access",
            AccessSnapshot.model_validate_json,
            disk=disk / "access.json",
            on_change=self._access_changed,
        )
        self.catalogs = SnapshotFollower(
            "catalog", read_entries, disk=disk / "catalog.json", on_change=self._catalog_changed
        )
        self.routes = SnapshotFollower(
            "routes",
            partial(decoded.routes, plugins or {}),
            disk=disk / "routes.json",
            on_change=self._routes_changed,
        )
        self.failover = SnapshotFollower(
            "failover", decoded.failover, disk=disk / "failover.json", on_change=self._failover_changed
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
        self.quality = SnapshotFollower(
            "quality", decoded.quality, disk=disk / "quality.json", on_change=self._quality_changed
        )
        self.predictor = SnapshotFollower(
            "predictor", decoded.predictor, disk=disk / "predictor.json", on_change=self._predictor_changed
        )
        self.spend = SnapshotFollower(
            "spend",
            SpendSnapshot.model_validate_json,
            disk=disk / "spend.json",
            on_change=self._spend_changed,
        )

    @property
    def followers(self) -> tuple[SnapshotFollower[Any], ...]:
        """All followers, to load and to run."""
        return (
            self.access,
            self.catalogs,
            self.routes,
            self.failover,
            self.status,
            self.performance,
            self.quality,
            self.predictor,
            self.spend,
        )

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

    def next_turn(self) -> int:
        """Counts the requests of this process, for rules that take turns."""
        self._turn += 1
        return self._turn

    def table(self, workspace_id: int) -> CompiledTable:
        """The rules of a workspace."""
        return self.tables.get(workspace_id, DEFAULT_TABLE)

    def settings(self, workspace_id: int) -> WorkspaceSettings:
        """What a workspace has chosen."""
        return self._settings.get(workspace_id, DEFAULT_SETTINGS)

    def catalog(self, workspace_id: int) -> Catalog:
        """What a workspace can call, and at which prices."""
        return self.models.of(workspace_id)

    def has_workspace(self, workspace_id: int) -> bool:
        """Whether there is one of that id."""
        return workspace_id in self._settings

    def budget(self, workspace_id: int, now: float) -> Budget | None:
        """What is left of a workspace's budget at ``now``; None = it has none."""
        found = self._settings.get(workspace_id, DEFAULT_SETTINGS).budget
        return None if found is None else budget_of(found.limits, self.spending.spent(workspace_id, now), now)

    def measured(self, target: Target) -> Measured:
        """What live traffic showed of ``target`` lately."""
        return self._measured.get(target, UNMEASURED)

    def scores(self, workspace_id: int) -> QualityTable:
        """What a workspace's own scores say of the models."""
        return self.qualities.get(workspace_id, NO_SCORES)

    def prediction(self, workspace_id: int, prompt: Callable[[], str]) -> Prediction | None:
        """What the workspace's learned table says of a prompt, which is made when it is asked; None without a table."""
        table = self._learned.get(workspace_id)
        return None if table is None else Prediction(table, prompt)

    def view(self, workspace_id: int, now: float) -> FleetView:
        """What routing needs for a request of a workspace, as of now (Unix seconds)."""
        self._gates, catalog = self._gates.at(now), self.models.of(workspace_id)
        alone = self.failover.age_s > ALONE_S
        return FleetView(
            status=NOTHING_KNOWN if alone else self._status,
            fleet_gates=NO_GATES.providers if alone else self._gates.providers,
            target_gates=NO_GATES.targets if alone else self._gates.targets,
            policy_gates=NO_POLICY_GATES
            if alone
            else self._gates.policies.get(workspace_id, NO_POLICY_GATES),
            local_gates=self.breakers.gates(now),
            measured=self._measured,
            in_flight=self.in_flight,
            headroom=self.headroom.shares(now),
            prices=catalog.output_prices,
            qualities=catalog.qualities,
            regions=self._regions,
            quality=self.qualities.get(workspace_id, NO_SCORES),
            budget=self.budget(workspace_id, now),
        )

    def plan(
        self, request: RouteRequest, now: float, *, stand_ins: bool = True, draw: float | None = None
    ) -> Plan | NoCapacity:
        """Where ``request`` goes at ``now``.

        Args:
            stand_ins: False = leave them out while they are not needed; see ``make_plan``.
            draw: uniform in [0, 1); None = a fresh one.

        Raises:
            UnknownModel: nothing of the requested name can be routed to.
        """
        return make_plan(
            self.tables.get(request.workspace_id, DEFAULT_TABLE),
            self.policies.get(request.workspace_id),
            request,
            self.models.of(request.workspace_id).candidates,
            self.view(request.workspace_id, now),
            now,
            random_draw() if draw is None else draw,
            stand_ins=stand_ins,
        )

    def reserve(self, call_id: str, request: RouteRequest, target: Target) -> None:
        """A call goes to ``target``: what it is expected to cost counts against the workspace's budget, if it has one."""
        if self._settings.get(request.workspace_id, DEFAULT_SETTINGS).budget is None:
            return
        prices = self.models.of(request.workspace_id).estimated_price(target)
        expected = expected_cost_usd(*prices, request)
        self.spending.reserve(call_id, request.workspace_id, expected or 0.0)

    def explain(self, request: RouteRequest, now: float) -> Explanation:
        """The decision that ``plan`` would take at ``now``, taken apart. Raises UnknownModel."""
        return explain(
            self.tables.get(request.workspace_id, DEFAULT_TABLE),
            self.policies.get(request.workspace_id),
            request,
            self.models.of(request.workspace_id).candidates,
            self.view(request.workspace_id, now),
            now,
            random_draw(),
        )

    def ttft_p95_s(self, target: Target) -> float | None:
        """95 of 100 streams of ``target`` gave their first token within this time lately; None = unknown."""
        return self._ttft_p95_s.get(target)

    def sending(self, target: Target, now: float) -> None:
        """A call to ``target`` goes out."""
        self.in_flight[target.provider] += 1
        self.breakers.sending(target, now)

    def over(self, target: Target) -> None:
        """A call to ``target`` is over, however it ended."""
        self.in_flight[target.provider] -= 1

    def counted(self, target: Target, estimated: int, counted: int, now: float) -> None:
        """An answer of ``target`` told how many input tokens it counted, of a text that was estimated."""
        if self.ratios.note(target, estimated, counted, now):
            self.models = self.models.corrected(self.ratios.applied)

    def _access_changed(self, key: str) -> None:
        snapshot = self.access.get("keys")
        if snapshot is not None:  # keys that vanish with a bus that lost its data must not lock everybody out
            self.keys = dict(snapshot.keys)
            self._settings = {each.workspace_id: each.settings for each in snapshot.workspaces.values()}

    def _catalog_changed(self, key: str) -> None:
        shared = self.models.shared
        if key == ALL:
            shared = Catalog(self.catalogs.get(ALL, self._built_in), self._providers, self.ratios.applied)
        self.models = Catalogs(shared, own_entries(self.catalogs))

    def _routes_changed(self, key: str) -> None:
        self.tables = dict(self.routes.values())

    def _failover_changed(self, key: str) -> None:
        self.policies = {
            each.snapshot.workspace_id: each
            for each in self.failover.values()
            if isinstance(each, CompiledPolicy)
        }
        self.drills = tuple(each for each in self.failover.values() if isinstance(each, LiveDrill))
        before, now = self._gates, self.clock()
        fleet = next((each for each in self.failover.values() if isinstance(each, FleetSnapshot)), None)
        self._gates = gates_of(fleet.gates, now, fleet.policies) if fleet is not None else NO_GATES
        for target in self.breakers.unwell:
            if before.closed_to(target) and not self._gates.closed_to(target):
                self.breakers.forgive(
                    target
                )  # what the fleet's trial has shown need not be found out here again

    def _spend_changed(self, key: str) -> None:
        self.spending.record(self.spend.values())

    def _quality_changed(self, key: str) -> None:
        self.qualities = dict(self.quality.values())

    def _predictor_changed(self, key: str) -> None:
        self._learned = dict(self.predictor.values())

    def _status_changed(self, key: str) -> None:
        self._status = {provider: found.status.value for provider, found in self.status.items()}

    def _performance_changed(self, key: str) -> None:
        self._measured = measured_of(self.performance.values())
        self._ttft_p95_s = {
            Target(each.provider, each.model): each.ttft_p95_ms / 1000
            for found in self.performance.values()
            for each in found.models
            if each.ttft_p95_ms is not None
        }


def unix_now() -> float:
    """The clock of the request path, in one place."""
    return time.time()


def random_draw() -> float:
    """Uniform in [0, 1): spreads load and waiting times, and guards no secret."""
    return random.random()  # noqa: S311 - see above
