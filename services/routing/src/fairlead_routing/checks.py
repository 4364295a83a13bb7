"""What is checked when a rule is written: refusals for what can never be right, warnings for what may not be meant."""

from collections.abc import Callable, Mapping, Sequence

from fairlead_common.bus.rpc import RpcError
from fairlead_common.decisions.conditions import ConditionError, Conditions, compile_conditions
from fairlead_common.decisions.strategies import SCORES, Score
from fairlead_common.operations.routing import RuleIn
from fairlead_models.catalog.catalog import Catalog
from sqlalchemy import RowMapping

from fairlead_routing.domain.names import doubtful_names, unknown_names
from fairlead_routing.domain.trial import TrialFailed, try_table
from fairlead_routing.tables import table_of

NEW_ID = 2**31
"""A rule without an id yet comes after the others of its priority."""


class Checks:
    """The checks of one process. ``catalog`` gives the catalog as it is now; names are not judged while it is None."""

    def __init__(self, catalog: Callable[[], Catalog | None], plugins: Mapping[str, Score]) -> None:
        self._catalog = catalog
        self._plugins = plugins

    def check(self, rule: RuleIn, rule_id: int | None, others: Sequence[RowMapping]) -> list[str]:
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
        warnings = self._check_names(conditions)
        self._try(rule, rule_id)
        return warnings

    def _check_names(self, conditions: Conditions) -> list[str]:
        catalog = self._catalog()
        if catalog is None:
            return []
        if unknown := unknown_names(conditions, catalog):
            raise RpcError(422, "unknown_name", "; ".join(unknown))
        return doubtful_names(conditions, catalog)

    def _try(self, rule: RuleIn, rule_id: int | None) -> None:
        row = {**rule.model_dump(), "id": rule_id or NEW_ID, "version": 0}
        try:
            try_table(table_of(1, 0, [row]), self._catalog(), self._plugins)
        except TrialFailed as error:
            raise RpcError(422, "trial_failed", str(error)) from error
