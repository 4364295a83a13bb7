"""The trial of a table before it is published: does every rule of it find somebody to serve what it applies to?

Requests are tried by the very decision code of the edges, on the catalog, with nothing measured: whomever a rule
excludes then, it excludes always. Regions of providers are the edges' to know, so every provider is taken to be in a
right one.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

from fairlead_common.decisions.conditions import WHEN, ConditionError
from fairlead_common.decisions.expressions import evaluate
from fairlead_common.decisions.plan import FleetView, NoCapacity, RouteRequest
from fairlead_common.decisions.routing import make_plan
from fairlead_common.decisions.strategies import Score
from fairlead_common.decisions.table import CompiledRule, compile_table
from fairlead_common.snapshots.routes import RoutesSnapshot, RuleSnapshot
from fairlead_models.catalog.catalog import Catalog

NEEDS: Final = ((), ("tools",), ("vision",), ("embeddings",))
MAX_NAMES: Final = 200


class TrialFailed(Exception):
    """The table must not be published; names the rule and says why."""


def try_table(table: RoutesSnapshot, catalog: Catalog | None, plugins: Mapping[str, Score]) -> None:
    """Compile the table, and decide sample requests by each of its rules.

    Args:
        catalog: None = not known yet; only what needs no candidates is found then.

    Raises:
        TrialFailed: a rule cannot be used, or would leave every sample request that it applies to without an answer.
    """
    try:
        compiled = compile_table(table, plugins)
    except ConditionError as error:
        raise TrialFailed(str(error)) from error
    if catalog is not None:
        ordered = sorted(table.rules, key=lambda rule: (rule.priority, rule.rule_id))
        for rule, ready in zip(ordered, compiled.rules, strict=True):
            _try_rule(rule, ready, catalog, plugins)


def _try_rule(
    rule: RuleSnapshot, ready: CompiledRule, catalog: Catalog, plugins: Mapping[str, Score]
) -> None:
    whom = {key: value for key, value in rule.conditions.items() if key not in WHEN}
    always = rule.model_copy(update={"conditions": whom})
    alone = compile_table(RoutesSnapshot(workspace_id=1, version=1, rules=(always,)), plugins)
    regions = dict.fromkeys(catalog.providers, next(iter(ready.conditions.regions), ""))
    view, first = FleetView(regions=regions), None
    for request in _samples(ready, catalog):
        plan = make_plan(alone, None, request, catalog.candidates, view, 0.0, 0.5)
        if not isinstance(plan, NoCapacity):
            return
        first = first or plan.message
    if first is not None:
        raise TrialFailed(
            f"rule '{rule.name}' would leave every sample request that it applies to without an answer; one of"
            f" them: {first}"
        )


def _samples(rule: CompiledRule, catalog: Catalog) -> Iterator[RouteRequest]:
    """Requests for names that the rule's ``models`` match; none when it speaks of names that the catalog lacks."""
    models = rule.conditions.parts.get("models")
    matching = (
        name for name in catalog.names() if models is None or evaluate(models, {"request.model": name}).true
    )
    for name in islice(matching, MAX_NAMES):
        for needs in NEEDS:
            yield RouteRequest(name, needs=frozenset(needs), input_tokens=100)
