"""The catalog's sources are read anew when they changed on disk, and what differs afterwards is said."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fairlead_common.decisions.targets import Target
from fairlead_models.catalog import file, profiles, sources
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.catalog.changes import changes
from fairlead_models.catalog.entries import Entry, Pricing, built_in
from fairlead_models.catalog.profiles import profile_of
from fairlead_models.catalog.sources import Sources
from fairlead_models.errors import CatalogFileError

NOW = datetime(2026, 11, 25, tzinfo=UTC)
TARGET = Target("mistral", "mistral-medium-3-5")


@pytest.fixture
def catalog_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the catalog file that may be changed; the library's own is back in use afterwards."""
    original = file.BUILT_IN
    copy = tmp_path / "models.yaml"
    copy.write_bytes(original.read_bytes())
    monkeypatch.setattr(file, "BUILT_IN", copy)
    yield copy
    monkeypatch.setattr(file, "BUILT_IN", original)
    file.built_in_file.cache_clear()
    profiles.forget()


def entries() -> dict[Target, Entry]:
    return Catalog(built_in(NOW), ["mistral"]).entries


def test_nothing_is_read_while_nothing_has_changed(catalog_file: Path) -> None:
    found = Sources()
    before = file.built_in_file()
    assert not found.read_anew()
    assert file.built_in_file() is before


def test_a_changed_catalog_file_is_read_once(catalog_file: Path) -> None:
    found, before = Sources(), entries()
    assert profile_of(*TARGET).capabilities is not None
    row = f"model: {TARGET.model}, classes: [balanced], aliases: [mistral-medium-2604], capabilities: "
    text = catalog_file.read_text()
    assert row in text
    catalog_file.write_text(text.replace(f"{row}*all", f"{row}[streaming]"))
    assert found.read_anew()
    assert not found.read_anew()
    (change,) = changes(before, entries())
    assert (change.target, change.change) == (TARGET, "changed")
    assert change.fields["capabilities"][1] == ["streaming"]
    assert profile_of(*TARGET).capabilities == frozenset(("streaming",))


def test_a_wrong_catalog_file_changes_nothing(catalog_file: Path) -> None:
    found, before = Sources(), entries()
    catalog_file.write_text("models: 7")
    with pytest.raises(CatalogFileError, match=r"models\.yaml"):
        found.read_anew()
    assert entries() == before


def test_a_new_price_package_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    found, before = Sources(), entries()
    monkeypatch.setattr(sources, "version", lambda name: "99.0")
    assert found.read_anew()
    assert found.read.price_package == "99.0"
    assert entries() == before


def test_touching_the_file_is_no_change_of_the_catalog(catalog_file: Path) -> None:
    found, before = Sources(), entries()
    os.utime(catalog_file, (1, 1))
    assert found.read_anew()
    assert changes(before, entries()) == []


def test_changes_name_each_field_with_its_values() -> None:
    old = {
        Target("p", "gone"): Entry(provider="p", model="gone"),
        Target("p", "m"): Entry(provider="p", model="m", pricing=Pricing(input_usd_per_mtok=1.0)),
    }
    new = {
        Target("p", "m"): Entry(
            provider="p", model="m", quality=0.5, pricing=Pricing(input_usd_per_mtok=2.0)
        ),
        Target("p", "new"): Entry(provider="p", model="new"),
    }
    assert changes(old, new) == [
        (Target("p", "gone"), "removed", {}),
        (Target("p", "m"), "changed", {"quality": (None, 0.5), "pricing.input_usd_per_mtok": (1.0, 2.0)}),
        (Target("p", "new"), "added", {}),
    ]
