"""What the buckets say now, made ready for decisions each time one of them changes: reading is a dictionary lookup."""

from collections.abc import Callable, Coroutine, Mapping
from functools import partial

from fairlead_common.decisions.budgets import Spent, budget_of
from fairlead_common.decisions.clusters import ClusterTable
from fairlead_common.decisions.plan import Budget, FleetView
from fairlead_common.decisions.policies import CompiledPolicy
from fairlead_common.decisions.quality import NO_SCORES, QualityTable
from fairlead_common.decisions.strategies import Score
from fairlead_common.decisions.table import CompiledTable
from fairlead_common.decisions.targets import Measured, Target
from fairlead_common.events.comparison import ProviderPerformance
from fairlead_common.events.health import ProviderStatus
from fairlead_common.snapshots import decoded
from fairlead_common.snapshots.budgets import BudgetsSnapshot
from fairlead_common.snapshots.failover import FleetSnapshot
from fairlead_common.snapshots.follower import SnapshotFollower
from fairlead_common.snapshots.gates import NO_GATES, NO_POLICY_GATES, Gates, gates_of
from fairlead_common.snapshots.performance import measured_of
from fairlead_common.snapshots.spend import SpendSnapshot
from fairlead_models.catalog.catalog import Catalog
from nats.aio.client import Client

EMPTY_TABLE = CompiledTable()


class Known:
    """The knowledge of one process.

    Args:
        clock: Unix time in seconds.
    """

    def __init__(self, plugins: Mapping[str, Score], clock: Callable[[], float]) -> None:
        self._clock = clock
        self.measured: Mapping[Target, Measured] = {}
        self._tables: Mapping[int, CompiledTable] = {}
        self._scores: Mapping[int, QualityTable] = {}
        self._learned: Mapping[int, ClusterTable] = {}
        self._status: Mapping[str, str] = {}
        self._regions: Mapping[str, str] = {}
        self._gates: Gates = NO_GATES
        self._routes = SnapshotFollower(
            "routes", partial(decoded.routes, plugins), on_change=self._routes_changed
        )
        self._failover = SnapshotFollower("failover", decoded.failover, on_change=self._failover_changed)
        self._performance = SnapshotFollower(
            "performance", ProviderPerformance.model_validate_json, on_change=self._performance_changed
        )
        self._quality = SnapshotFollower("quality", decoded.quality, on_change=self._quality_changed)
        self._provider_status = SnapshotFollower(
            "provider-status", ProviderStatus.model_validate_json, on_change=self._status_changed
        )
        self._predictor = SnapshotFollower("predictor", decoded.predictor, on_change=self._predictor_changed)
        self._budgets = SnapshotFollower("budgets", BudgetsSnapshot.model_validate_json)
        self._spend = SnapshotFollower("spend", SpendSnapshot.model_validate_json)

    def jobs(self, client: Client) -> list[Callable[[], Coroutine[object, object, None]]]:
        """Endless jobs that keep it current."""
        followers = (
            self._routes,
            self._failover,
            self._performance,
            self._quality,
            self._provider_status,
            self._predictor,
            self._budgets,
            self._spend,
        )
        return [partial(follower.follow, client) for follower in followers]

    def table(self, workspace_id: int) -> CompiledTable:
        """The rules that edges follow."""
        return self._tables.get(workspace_id, EMPTY_TABLE)

    def policy(self, workspace_id: int) -> CompiledPolicy | None:
        """The workspace's failover policy."""
        found = self._failover.get(f"policy.{workspace_id}")
        return found if isinstance(found, CompiledPolicy) else None

    def scores(self, workspace_id: int) -> QualityTable:
        """What a workspace's own scores say of the models."""
        return self._scores.get(workspace_id, NO_SCORES)

    def learned(self, workspace_id: int) -> ClusterTable | None:
        """Its learned table."""
        return self._learned.get(workspace_id)

    @property
    def knows_budgets(self) -> bool:
        """Whether both the limits and the fleet's record of spending are there."""
        return "workspaces" in self._budgets and self._spend.synced.is_set()

    def budget(self, workspace_id: int, now: float) -> Budget | None:
        """What is left of a workspace's budget, by the fleet's record; None = it has none, or is not known."""
        settings = self._budgets["workspaces"].budgets.get(workspace_id) if self.knows_budgets else None
        if settings is None:
            return None
        found = self._spend.get(str(workspace_id))
        return budget_of(settings.limits, Spent() if found is None else found.spent(now), now)

    def view(self, workspace_id: int, catalog: Catalog) -> FleetView:
        """What the fleet knows; rate limits, load, breakers and prompt caches of a single edge are not in it."""
        now = self._clock()
        self._gates = self._gates.at(now)
        return FleetView(
            status=self._status,
            fleet_gates=self._gates.providers,
            target_gates=self._gates.targets,
            policy_gates=self._gates.policies.get(workspace_id, NO_POLICY_GATES),
            measured=self.measured,
            prices=catalog.output_prices,
            qualities=catalog.qualities,
            regions=self._regions,
            quality=self.scores(workspace_id),
            budget=self.budget(workspace_id, now),
        )

    def _routes_changed(self, key: str) -> None:
        self._tables = dict(self._routes.values())

    def _quality_changed(self, key: str) -> None:
        self._scores = dict(self._quality.values())

    def _predictor_changed(self, key: str) -> None:
        self._learned = dict(self._predictor.values())

    def _performance_changed(self, key: str) -> None:
        self.measured = measured_of(self._performance.values())

    def _status_changed(self, key: str) -> None:
        found = self._provider_status
        self._status = {provider: each.status.value for provider, each in found.items()}
        self._regions = {provider: each.region for provider, each in found.items() if each.region is not None}

    def _failover_changed(self, key: str) -> None:
        fleet = self._failover.get("fleet")
        self._gates = NO_GATES
        if isinstance(fleet, FleetSnapshot):
            self._gates = gates_of(fleet.gates, self._clock(), fleet.policies)
