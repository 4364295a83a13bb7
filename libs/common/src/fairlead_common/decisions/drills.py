"""Which attempts a drill on the live system strikes, and as what a struck attempt fails."""

from collections.abc import Iterable
from typing import Final

from fairlead_common.decisions.targets import Target
from fairlead_common.outcomes import ErrorClass
from fairlead_common.snapshots.drills import DrillFault, LiveDrill

ERRORS: Final[dict[DrillFault, ErrorClass | None]] = {
    DrillFault.CONNECT: ErrorClass.CONNECT,
    DrillFault.TIMEOUT: ErrorClass.TIMEOUT_FIRST_TOKEN,
    DrillFault.SERVER_ERROR: ErrorClass.SERVER_ERROR,
    DrillFault.OVERLOADED: ErrorClass.OVERLOADED,
    DrillFault.RATE_LIMITED: ErrorClass.RATE_LIMITED,
    DrillFault.SLOW: None,
}
"""None = it goes on after the wait."""


def striking(
    drills: Iterable[LiveDrill], target: Target, workspace_id: int, now: float, draw: float
) -> LiveDrill | None:
    """The drill that strikes an attempt at ``target``, if any.

    Args:
        now: Unix seconds; a drill that has ended strikes nobody, also when nobody has taken it away.
        draw: uniform in [0, 1).
    """
    for drill in drills:
        meant = drill.provider == target.provider and drill.model in (None, target.model)
        if not meant or drill.only_workspace_id not in (None, workspace_id):
            continue
        if drill.started_at.timestamp() <= now < drill.ends_at.timestamp() and draw < drill.share:
            return drill
    return None
