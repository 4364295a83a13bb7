"""The field of one decision: every candidate where it belongs, and what of that holds for the next decision too."""

from collections.abc import Mapping, Sequence
from typing import Final

from fairlead_common.decisions.fitness import fleet_gate, out_for_now, unfit
from fairlead_common.decisions.plan import CLOSED, Excluded, FleetView, Gate, RouteRequest
from fairlead_common.decisions.strategies import Contenders
from fairlead_common.decisions.table import CompiledRule, Lineup
from fairlead_common.decisions.targets import Entrant, Target
from fairlead_common.snapshots.failover import PolicyRule, PolicySnapshot

MAX_TOKENS: Final = 2**62
NO_GATES: Final[Mapping[Target, Gate]] = {}


class Field:
    """Sorts the candidates of one decision into who may be chosen and who may not, and why."""

    __slots__ = (
        "_contenders",
        "_meant",
        "able",
        "draw",
        "excluded",
        "gates",
        "guard",
        "named",
        "others",
        "out",
        "policy",
        "request",
        "reserve",
        "rule",
        "view",
        "well",
    )

    def __init__(
        self,
        rule: CompiledRule,
        policy: PolicySnapshot | None,
        request: RouteRequest,
        view: FleetView,
        draw: float,
        guard: PolicyRule | None = None,
    ) -> None:
        self.guard = guard
        self.gates = view.policy_gates.get(guard.name, NO_GATES) if guard is not None else NO_GATES
        self.rule = rule
        self.policy = policy
        self.request = request
        self.view = view
        self.draw = draw
        self.able = 0
        self.excluded: list[Excluded] = []
        self.named: list[Entrant] = []
        """Those named that can serve the request, well or not."""
        self.well: list[Entrant] = []
        self.others: list[Entrant] = []
        """Stand-ins that are well."""
        self.reserve: list[Entrant] = []
        """They recover, and this request is not in their share."""
        self.out: list[tuple[float, int, Entrant]] = []
        """(time of the next try, place, who) of those that are out for now."""
        self._contenders: Contenders | None = None
        self._meant: Contenders | None = None

    @property
    def contenders(self) -> Contenders:
        """The named candidates that are well. Nobody named is placed once this was asked for."""
        if self._contenders is None:
            self._contenders = Contenders(self.well)
        return self._contenders

    @property
    def meant(self) -> Contenders:
        """Those that would contend if all of the named were well. Nobody named is placed once this was asked for."""
        if self._meant is None:
            self._meant = self.contenders if len(self.named) == len(self.well) else Contenders(self.named)
        return self._meant

    def open_to(self, request: RouteRequest, view: FleetView) -> "Field":
        """The same for another request, to be added to."""
        found = Field(self.rule, self.policy, request, view, self.draw, self.guard)
        found.able, found.well, found._contenders = self.able, self.well, self.contenders
        found.named, found._meant = self.named, self.meant
        found.excluded, found.others = list(self.excluded), list(self.others)
        found.reserve, found.out = list(self.reserve), list(self.out)
        return found

    def place(self, entrant: Entrant, *, named: bool) -> None:
        """Put one candidate where it belongs."""
        bounds = self.policy if self.guard is None else None
        why = unfit(entrant, self.rule.conditions, bounds, self.request, self.view, named=named)
        if why is not None:
            self.excluded.append(Excluded(entrant.candidate.target, why))
            return
        self.able += 1
        if named:
            self.named.append(entrant)
        why, retry_at = out_for_now(entrant, bounds, self.view)
        moved = self.gates.get(entrant.target, CLOSED)
        if why is None and moved.share <= 0.0:
            why, retry_at = "the failover policy has left it", moved.retry_at or float("inf")
        if why is not None:
            self.excluded.append(Excluded(entrant.candidate.target, why))
            self.out.append((retry_at, len(self.out), entrant))
        elif self.draw >= min(moved.share, fleet_gate(self.view, entrant.candidate.target).share):
            self.reserve.append(entrant)
        else:
            (self.well if named else self.others).append(entrant)


def placed(
    named: Sequence[Entrant],
    rule: CompiledRule,
    policy: PolicySnapshot | None,
    request: RouteRequest,
    view: FleetView,
    draw: float,
    guard: PolicyRule | None = None,
) -> Field:
    """The named candidates, each where it belongs."""
    field = Field(rule, policy, request, view, draw, guard)
    for entrant in named:
        field.place(entrant, named=True)
    return field


class Standing:
    """Who is fit and well for a request that asks nothing special, while nobody recovers: a matter of snapshots alone."""

    __slots__ = ("_known", "field", "least_window")

    def __init__(
        self, lineup: Lineup, rule: CompiledRule, policy: PolicySnapshot | None, view: FleetView
    ) -> None:
        self._known = (view.status, view.fleet_gates, view.target_gates, view.regions, policy)
        windows = [each.candidate.context_window for each in lineup.entrants]
        self.least_window = min((window for window in windows if window is not None), default=MAX_TOKENS)
        """Tokens: longer requests do not fit everybody."""
        self.field = placed(lineup.entrants, rule, policy, RouteRequest(""), view, 0.0)

    def holds(self, policy: PolicySnapshot | None, view: FleetView) -> bool:
        """Whether the snapshots are the very same ones still."""
        status, fleet_gates, target_gates, regions, then = self._known
        return (
            status is view.status
            and fleet_gates is view.fleet_gates
            and target_gates is view.target_gates
            and regions is view.regions
            and then is policy
        )


def standing(
    lineup: Lineup, rule: CompiledRule, policy: PolicySnapshot | None, request: RouteRequest, view: FleetView
) -> Field | None:
    """The field of the named candidates as it was for others before; None where this request needs one of its own."""
    if request.needs or view.local_gates or rule.conditions.max_cost_usd is not None:
        return None
    if request.cost_limit is not None:
        return None
    if view.headroom and min(view.headroom.values()) <= 0.0:
        return None
    known: Standing | None = lineup.standing
    if known is None or not known.holds(policy, view):
        if any(0.0 < gate.share < 1.0 for gate in (*view.fleet_gates.values(), *view.target_gates.values())):
            return None
        lineup.standing = known = Standing(lineup, rule, policy, view)
    return known.field.open_to(request, view) if request.input_tokens <= known.least_window else None
