"""Values of buckets as routing decisions read them, from their bytes; each raises ValueError for what cannot be used."""

from collections.abc import Mapping

import orjson

from fairlead_common.decisions.clusters import ClusterTable
from fairlead_common.decisions.policies import CompiledPolicy, compile_policy
from fairlead_common.decisions.quality import QualityTable
from fairlead_common.decisions.strategies import Score
from fairlead_common.decisions.table import CompiledTable, compile_table
from fairlead_common.snapshots.drills import LiveDrill
from fairlead_common.snapshots.failover import FleetSnapshot, PolicySnapshot
from fairlead_common.snapshots.predictor import PredictorSnapshot
from fairlead_common.snapshots.quality import QualitySnapshot
from fairlead_common.snapshots.routes import RoutesSnapshot


def routes(plugins: Mapping[str, Score], data: bytes) -> tuple[int, CompiledTable]:
    """(workspace id, its rules)."""
    snapshot = RoutesSnapshot.model_validate_json(data)
    return snapshot.workspace_id, compile_table(snapshot, plugins)


def quality(data: bytes) -> tuple[int, QualityTable]:
    """(workspace id, its scores)."""
    snapshot = QualitySnapshot.model_validate_json(data)
    return snapshot.workspace_id, snapshot.table()


def predictor(data: bytes) -> tuple[int, ClusterTable]:
    """(workspace id, its learned table)."""
    snapshot = PredictorSnapshot.model_validate_json(data)
    return snapshot.workspace_id, snapshot.table.compiled(snapshot.version)


def failover(data: bytes) -> CompiledPolicy | FleetSnapshot | LiveDrill:
    """A value of the ``failover`` bucket, whose keys hold three kinds."""
    found = orjson.loads(data)
    if "drill_id" in found:
        return LiveDrill.model_validate_json(data)
    if "workspace_id" in found:
        return compile_policy(PolicySnapshot.model_validate_json(data))
    return FleetSnapshot.model_validate_json(data)
