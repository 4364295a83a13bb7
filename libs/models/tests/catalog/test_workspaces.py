"""What a workspace declares wins over what the operator declares, field by field, and touches no other workspace."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from fairlead_common.decisions.targets import Target
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.catalog.entries import Entry, built_in, overridden
from fairlead_models.catalog.workspaces import OWN, Catalogs, own_entries, own_snapshot, read_entries
from fairlead_models.providers import BUILT_IN

NOW = datetime(2026, 11, 23, tzinfo=UTC)
MINI = Target("openai", "gpt-5.4-mini")
OPERATORS = {
    "provider": "openai",
    "model_name": "gpt-5.4-mini",
    "equivalent_models": ["google/gemini-3.8-flash"],
    "capabilities": {"languages": ["de"], "quality": 0.5},
    "pricing": {"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 2.0},
    "verified": True,
}


def entry(entries: list[Entry]) -> Entry:
    return next(each for each in entries if (each.provider, each.model) == MINI)


def both(own: dict[str, Any]) -> Entry:
    """The model with an operator's row and a workspace's over it."""
    row = {"provider": "openai", "model_name": "gpt-5.4-mini", **own}
    operators = overridden(built_in(NOW), [OPERATORS], NOW)
    return entry(overridden(operators, [row], NOW, "workspace"))


def test_a_workspace_wins_over_the_operator_who_wins_over_what_is_built_in() -> None:
    found = both({"pricing": {"input_usd_per_mtok": 0.25}, "capabilities": {"quality": 0.9}})
    assert (found.pricing.input_usd_per_mtok, found.pricing.output_usd_per_mtok) == (0.25, 2.0)
    assert (found.quality, found.languages) == (0.9, ("de",))
    assert found.equivalent_models == ("google/gemini-3.8-flash",)
    plain = entry(built_in(NOW))
    assert found.pricing.cached_input_usd_per_mtok == plain.pricing.cached_input_usd_per_mtok
    assert found.capabilities == plain.capabilities
    assert (found.source, found.pricing.source, found.verified) == ("workspace", "workspace", False)


def test_every_known_value_says_where_it_comes_from() -> None:
    found = both({"pricing": {"input_usd_per_mtok": 0.25}, "capabilities": {"quality": 0.9}})
    sources = found.value_sources()
    assert sources["pricing.input_usd_per_mtok"] == sources["quality"] == "workspace"
    assert sources["pricing.output_usd_per_mtok"] == sources["languages"] == "operator"
    assert sources["equivalent_models"] == "operator"
    assert sources["pricing.cached_input_usd_per_mtok"] == "genai-prices"
    assert sources["capabilities"] == sources["classes"] == "built-in"
    assert "embedding" not in sources, "nothing is known of it"


def test_prices_of_other_days_do_not_count_and_are_nobodys() -> None:
    later = str((NOW + timedelta(days=1)).date())
    found = both({"pricing": {"input_usd_per_mtok": 0.25, "valid_from": later}})
    assert found.pricing.input_usd_per_mtok == 1.0
    assert found.value_sources()["pricing.input_usd_per_mtok"] == "operator"


def test_only_the_workspace_itself_has_its_catalog() -> None:
    shared = Catalog(built_in(NOW), BUILT_IN)
    own = [
        entry(
            overridden(
                built_in(NOW),
                [
                    {
                        "provider": "openai",
                        "model_name": "gpt-5.4-mini",
                        "capabilities": {"aliases": ["house"], "classes": ["frontier"]},
                        "pricing": {"input_usd_per_mtok": 9.0},
                    }
                ],
                NOW,
                "workspace",
            )
        )
    ]
    values = {f"{OWN}7": read_entries(orjson.dumps(own_snapshot(own))), "models": list(built_in(NOW))}
    catalogs = Catalogs(shared, own_entries(values))
    assert catalogs.of(1) is catalogs.of(2) is shared
    mine = catalogs.of(7)
    assert catalogs.of(7) is mine, "made once"
    assert mine.resolve("house") == [MINI]
    assert MINI in mine.resolve("class:frontier")
    assert MINI not in shared.resolve("class:frontier")
    price, theirs = mine.price(MINI), shared.price(MINI)
    assert price is not None
    assert theirs is not None
    assert (price.input, price.output) == (9e-6, theirs.output)
    assert [*mine.entries] == [*shared.entries], "in the same order"
    corrected = catalogs.corrected({MINI: 1.5})
    assert corrected.of(7).estimated_price(MINI) == (9e-6 * 1.5, theirs.output)
    assert corrected.of(1).estimated_price(MINI) == (theirs.input * 1.5, theirs.output)
    assert corrected.of(7).price(MINI) == price


def test_a_workspace_can_have_a_model_that_nobody_else_knows() -> None:
    row = {"provider": "openai", "model_name": "ft-house", "capabilities": {"classes": ["fast"]}}
    (own,) = overridden([], [row], NOW, "workspace")
    catalogs = Catalogs(Catalog(built_in(NOW), BUILT_IN), {7: [own]})
    assert Target("openai", "ft-house") in catalogs.of(7).resolve("class:fast")
    assert Target("openai", "ft-house") not in catalogs.of(1).entries
