"""What is checked when a rule is written: refusals for what can never be right, warnings for what may not be meant."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from fairlead_common.bus.rpc import RpcError
from fairlead_common.decisions.conditions import (
    DEFAULT_WEIGHTS,
    ConditionError,
    Conditions,
    compile_conditions,
)
from fairlead_common.decisions.strategies import SCORES, Score, cost_weight
from fairlead_common.operations.routing import RuleIn
from fairlead_models.catalog.catalog import Catalog
from sqlalchemy import RowMapping

from fairlead_routing.domain.names import doubtful_names, unknown_names
from fairlead_routing.domain.reach import Placed, never_true, shadowed, shadowed_together
from fairlead_routing.domain.trial import TrialFailed, try_table
from fairlead_routing.tables import table_of

NEW_ID: Final = 2**31
"""A rule without an id yet comes after the others of its priority."""

MAX_BEHIND: Final = 200
"""So many rules behind the written one are asked whether it hides them."""


class Checks:
    """The checks of one process. ``catalog`` gives a workspace's as it is now; names are not judged while it is None."""

    def __init__(self, catalog: Callable[[int], Catalog | None], plugins: Mapping[str, Score]) -> None:
        self._catalog = catalog
        self._plugins = plugins

    def check(
        self, workspace_id: int, rule: RuleIn, rule_id: int | None, others: Sequence[RowMapping]
    ) -> list[str]:
        """Warnings.

        Args:
            rule_id: of the rule that is replaced; None = a new one.
            others: all rules of the workspace.

        Raises:
            RpcError: 422, the rule cannot be used.
        """
        if rule.strategy not in SCORES and rule.strategy not in self._plugins:
            known = ", ".join((*SCORES, *self._plugins))
            text = f"there is no strategy '{rule.strategy}'; there are {known}"
            raise RpcError(422, "unknown_strategy", text)
        try:
            conditions = compile_conditions(rule.conditions)
        except ConditionError as error:
            raise RpcError(422, "invalid_conditions", str(error)) from error
        catalog = self._catalog(workspace_id)
        warnings = [] if catalog is None else _check_names(conditions, catalog)
        warnings += _inert(rule.strategy, conditions)
        warnings += _check_reach(rule, rule_id, conditions, others)
        self._try(rule, rule_id, catalog)
        return warnings

    def _try(self, rule: RuleIn, rule_id: int | None, catalog: Catalog | None) -> None:
        row = {**rule.model_dump(), "id": rule_id or NEW_ID, "version": 0}
        try:
            try_table(table_of(1, 0, [row]), catalog, self._plugins)
        except TrialFailed as error:
            raise RpcError(422, "trial_failed", str(error)) from error


def _check_names(conditions: Conditions, catalog: Catalog) -> list[str]:
    if unknown := unknown_names(conditions, catalog):
        raise RpcError(422, "unknown_name", "; ".join(unknown))
    return doubtful_names(conditions, catalog)


def _inert(strategy: str, conditions: Conditions) -> list[str]:
    """What says how to choose, and means nothing to the strategy."""
    found = []
    if conditions.weights is not DEFAULT_WEIGHTS and strategy in SCORES and strategy != "balanced":
        found.append(f"conditions.weights means nothing to the strategy {strategy}; balanced uses it")
    if conditions.sticky == "prompt_cache" and strategy in SCORES and not cost_weight(strategy, conditions):
        found.append(
            f"conditions.sticky: the prompt cache counts in the cost, which means nothing to the strategy {strategy}"
        )
    return found


def _check_reach(
    rule: RuleIn, rule_id: int | None, conditions: Conditions, others: Sequence[RowMapping]
) -> list[str]:
    """Warnings. Raises RpcError when the rule can certainly never apply."""
    rows = [row for row in others if row["enabled"] and row["id"] != rule_id]
    before = [row for row in rows if (row["priority"], row["id"]) < (rule.priority, rule_id or NEW_ID)]
    this = Placed(rule.name, len(before) + 1, conditions)
    findings = [never_true(this)]
    if findings[0] is not None and findings[0].certain:
        raise RpcError(422, "never_true", findings[0].text)
    if rule.enabled:
        earlier = _placed(before, 1)
        findings.append(shadowed(this, earlier) or shadowed_together(this, earlier))
        behind = _placed([row for row in rows if row not in before], this.place + 1)
        findings += [shadowed(each, [this]) for each in behind[:MAX_BEHIND]]
    return [each.text for each in findings if each is not None]


def _placed(rows: Sequence[RowMapping], first: int) -> list[Placed]:
    return [
        Placed(row["name"], place, compile_conditions(row["conditions"]))
        for place, row in enumerate(rows, first)
    ]
