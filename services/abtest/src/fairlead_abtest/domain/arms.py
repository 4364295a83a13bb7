"""Which model each arm of a test stands for, and what a call to it is likely to cost."""

from collections.abc import Iterable

from fairlead_common.decisions.targets import Target
from fairlead_common.operations.abtest import Arm
from fairlead_models.catalog.catalog import AUTO_CLASS, PROVIDER_ALIASES, Catalog
from fairlead_models.errors import UnknownModel
from fairlead_models.prices import cost_usd, estimate_tokens
from fairlead_models.unified import ChatRequest, Usage

ASSUMED_OUTPUT_TOKENS = 500
"""Of an answer whose length nobody limited."""


class ArmError(ValueError):
    """An arm that cannot be tested; the message says which, why, and what to write instead."""


def resolve_arms(asked: Iterable[str], catalog: Catalog) -> list[Arm]:
    """The arms, in the order in which they were asked for.

    Raises:
        ArmError: unknown, ambiguous, or the same model twice.
    """
    arms: list[Arm] = []
    for position, name in enumerate(asked):
        target = _target(name, f"providers[{position}]", catalog)
        for other in arms:
            if (other.provider, other.model) == target:
                raise ArmError(
                    f"providers[{position}]: '{name}' is {target}, which '{other.asked}' is already; arms must differ"
                )
        arms.append(Arm(asked=name, provider=target.provider, model=target.model))
    return arms


def _target(name: str, where: str, catalog: Catalog) -> Target:
    provider = PROVIDER_ALIASES.get(name, name)
    if provider in catalog.providers:
        return _default(provider, where, catalog)
    try:
        found = catalog.resolve(name)
    except UnknownModel as error:
        known = ", ".join(sorted(catalog.providers)) or "none"
        raise ArmError(
            f"{where}: '{name}' is neither a configured provider ({known}) nor a model."
            f" {error.message.partition('. ')[2]}".rstrip()
        ) from error
    if len(found) != 1:
        some = ", ".join(str(target) for target in found[:5])
        raise ArmError(f"{where}: '{name}' stands for {len(found)} models; name one of them: {some}")
    return found[0]


def _default(provider: str, where: str, catalog: Catalog) -> Target:
    own = [target for target in catalog.entries if target.provider == provider]
    if not own:
        raise ArmError(f"{where}: no model of '{provider}' is known; name one: {provider}/<model>")
    return next((target for target in own if AUTO_CLASS in catalog.entries[target].classes), own[0])


def estimated_cost_usd(arm: Arm, request: ChatRequest, catalog: Catalog) -> float | None:
    """What one call is likely to cost; None when the arm's price is unknown."""
    usage = Usage(estimate_tokens(request), request.max_output_tokens or ASSUMED_OUTPUT_TOKENS)
    return cost_usd(usage, catalog.price(Target(arm.provider, arm.model)))
