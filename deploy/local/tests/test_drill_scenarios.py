"""Scenario files: the library is sound, and a mistake is told in one line that names file, place and remedy."""

from pathlib import Path

import pytest
from fairlead.drills.drill import order
from fairlead.drills.scenario import FOLDER, Verb, choose, library, load
from fairlead.errors import BadInput

GOOD = """
name: mine
title: Something breaks
seconds: 10
steps:
  - {at_s: 2, do: fault, of: openai, kind: cut, after_chunks: 2}
  - {at_s: 6, do: mend, of: openai}
expect: {switches: required, streams: told}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


def test_a_file_becomes_a_scenario(tmp_path: Path) -> None:
    found = load(written(tmp_path, GOOD))
    assert (found.name, found.provider, found.seconds) == ("mine", "openai", 10)
    assert [each.verb for each in found.steps] == [Verb.FAULT, Verb.MEND]
    assert str(found.steps[0]) == "openai cut after_chunks 2"
    assert choose(str(tmp_path / "mine.yaml")) == (found,)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title: Something breaks", "titel: x", "titel is unknown; known are name, title"),
        ("kind: cut", "kind: kut", "steps[0].kind: expected one of refuse, down"),
        ("do: mend", "do: repair", "steps[1].do: expected one of fault, mend, kill"),
        (
            "do: mend, of: openai",
            "do: kill, of: edge",
            "'openai cut after_chunks 2' is never undone; add a later",
        ),
        ("of: openai}", "of: opanai}", "steps[1].of: expected one of openai, anthropic"),
        ("at_s: 6", "at_s: 1", "steps: expected them in the order of their at_s"),
        ("at_s: 6", "at_s: 11", "at_s 11 is later than the end at 10 s"),
        ("after_chunks", "after_pieces", "steps[0].after_pieces is unknown; known are kind"),
        ("seconds: 10", "seconds: soon", "seconds: expected seconds of at least 0, found 'soon'"),
        (
            "required",
            "perhaps",
            "expect.switches: expected one of required, allowed, forbidden, found 'perhaps'",
        ),
        ("name: mine", "name: mine\nstack: huge", "stack: expected one of standard"),
        ("steps:", "steps: [", "not valid YAML"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = written(tmp_path, GOOD.replace(old, new))
    with pytest.raises(BadInput) as error:
        load(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_every_scenario_of_the_library_has_the_name_of_its_file() -> None:
    for name, found in library().items():
        assert found.name == name
        assert load(FOLDER / f"{name}.yaml") == found


def test_scenarios_that_share_a_stack_run_together() -> None:
    groups = order(list(library().values()))
    names = [group[0].stack.name for group in groups]
    assert len(names) == len(set(names))
    assert [{each.stack.name for each in group} for group in groups] == [{name} for name in names]


def test_an_unknown_drill_is_refused_with_those_there_are() -> None:
    with pytest.raises(BadInput, match=r"there is no drill 'nope'; there are .*hard-down"):
        choose("nope")
