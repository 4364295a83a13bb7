"""What figures are of: providers, or models at providers."""

from datetime import UTC, datetime, timedelta

import pytest
from fairlead_comparison.domain.samples import Scores
from fairlead_comparison.domain.scores import Score
from fairlead_comparison.domain.sums import Part, Sums
from fairlead_comparison.domain.targets import Selection, blocks_of, problem_of, quality_steps, scores_of

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
LATER = AT + timedelta(hours=1)


def parts() -> list[Part]:
    return [
        Part("a", "x", AT, Sums(attempts=1)),
        Part("a", "y/z", AT, Sums(attempts=2)),
        Part("b", "x", AT, Sums(attempts=4)),
        Part("a", "x", LATER, Sums(attempts=8)),
    ]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), {"a": [3, 8], "b": [4]}),
        (Selection((), "model"), {"a/x": [1, 8], "a/y/z": [2], "b/x": [4]}),
        (Selection(["a/x", "b"]), {"a/x": [1, 8], "b": [4]}),
        (Selection(["a/y/z", "c"]), {"a/y/z": [2], "c": []}),
    ],
)
def test_traffic_counts_under_the_names_asked_for(
    selection: Selection, expected: dict[str, list[int]]
) -> None:
    found = blocks_of(parts(), selection)
    assert {name: [sums.attempts for sums in each.values()] for name, each in found.items()} == expected


def test_parts_are_not_changed_by_adding_them_up() -> None:
    given = parts()
    blocks_of(given, Selection())
    assert [part.sums.attempts for part in given] == [1, 2, 4, 8]


@pytest.mark.parametrize(
    ("targets", "says"),
    [
        ([], None),
        (["a", "b"], None),
        (["a/x", "a/y"], None),
        (["a", "b", "a"], "'a' twice"),
        (["a", "a/x"], "which contains it"),
    ],
)
def test_targets_must_not_overlap(targets: list[str], says: str | None) -> None:
    found = problem_of(targets)
    assert found is None if says is None else found is not None and says in found


SCORES = [
    Score((1, 0), "a", "x", 1.0, 1, AT),
    Score((1, 0), "a", "y", 0.0, 3, AT),
    Score((1, 1), "a", "x", 0.5, 1, LATER),
    Score((1, 0), "b", "x", 0.25, 1, LATER),
]


def test_models_of_a_provider_are_averaged_by_their_answers() -> None:
    assert scores_of(SCORES, Selection()) == {
        "a": Scores({(1, 0): 0.25, (1, 1): 0.5}),
        "b": Scores({(1, 0): 0.25}),
    }
    assert set(scores_of(SCORES, Selection(["a/x"]))) == {"a/x"}


def test_quality_over_time() -> None:
    found = quality_steps(SCORES, Selection(), 3600)
    assert {name: [(at, sample.value) for at, sample in each] for name, each in found.items()} == {
        "a": [(AT, 0.25), (LATER, 0.5)],
        "b": [(LATER, 0.25)],
    }
