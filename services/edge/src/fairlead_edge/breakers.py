"""The breakers of this one edge: what it sees itself of each target, without the bus and beside the fleet's gates."""

import logging
from collections import OrderedDict
from collections.abc import Iterable, Mapping

from fairlead_common.decisions.breaker import FRESH, BreakerSettings, BreakerState, admitted, gate, observed
from fairlead_common.decisions.plan import Gate, GateState
from fairlead_common.decisions.targets import Target
from fairlead_common.outcomes import Bucket, ErrorClass

logger = logging.getLogger(__name__)

RATE_LIMIT_S = 5.0
"""How long a rate-limited target rests when the provider did not say."""
QUOTA_S = 300.0
"""How long a target without credit rests."""
MAX_REST_S = 3600.0
"""How long a target rests at most, whatever the provider says."""
MAX_BREAKERS = 4096
"""Callers may name any model of a provider; the breakers used longest ago are forgotten."""


class Breakers:
    """One breaker per target that was called lately. Times in Unix seconds."""

    def __init__(self, settings: BreakerSettings) -> None:
        self._settings = settings
        self._states: OrderedDict[Target, BreakerState] = OrderedDict()
        self._unwell: dict[Target, BreakerState] = {}

    @property
    def states(self) -> Mapping[Target, BreakerState]:
        """Of all targets called lately, for people to look at."""
        return self._states

    def gates(self, now: float) -> dict[Target, Gate]:
        """What may go to the targets that are not well; all others are open to everything."""
        return {target: gate(state, now, self._settings) for target, state in self._unwell.items()}

    def usable(self, target: Target, now: float) -> bool:
        """False when the breaker of ``target`` lets nothing through at this moment."""
        state = self._unwell.get(target)
        return state is None or gate(state, now, self._settings).state is not GateState.OPEN

    def sending(self, target: Target, now: float) -> None:
        """A call goes out; it may be the one trial of a breaker."""
        state = self._unwell.get(target)
        if state is not None:
            self._keep(target, admitted(state, now, self._settings))

    def outcome(
        self,
        target: Target,
        error: ErrorClass | None,
        now: float,
        draw: float,
        retry_after_s: float | None = None,
    ) -> None:
        """What became of a call; errors of the caller's own making say nothing about the target."""
        if error is not None and error.bucket is Bucket.CALLER:
            return
        rest_s = None
        if error is not None and error.bucket is Bucket.LIMIT:
            rest_s = retry_after_s or (QUOTA_S if error is ErrorClass.QUOTA_EXHAUSTED else RATE_LIMIT_S)
            rest_s = min(rest_s, MAX_REST_S)
        state = self._states.get(target, FRESH)
        self._keep(target, observed(state, self._settings, error is None, now, draw, rest_s))

    @property
    def unwell(self) -> Iterable[Target]:
        """Targets whose breaker is not closed."""
        return tuple(self._unwell)

    def forgive(self, target: Target) -> None:
        """Somebody else has found ``target`` well."""
        self._keep(target, FRESH)

    def _keep(self, target: Target, state: BreakerState) -> None:
        if state.state is GateState.CLOSED:
            self._unwell.pop(target, None)
        else:
            if target not in self._unwell:
                logger.warning("breaker of %s opened", target)
            self._unwell[target] = state
        self._states[target] = state
        self._states.move_to_end(target)
        if len(self._states) > MAX_BREAKERS:
            oldest, _ = self._states.popitem(last=False)
            self._unwell.pop(oldest, None)
