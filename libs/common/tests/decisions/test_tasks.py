"""The task class of a prompt, and the evaluation of the edge's quality table."""

import json
from pathlib import Path

import pytest
from fairlead_common.decisions.clusters import ClusterTable, features
from fairlead_common.decisions.tasks import TASKS, task_of
from hypothesis import given
from hypothesis import strategies as st

ZEROEVAL = Path(__file__).parents[4] / ".." / "shared" / "data" / "zeroeval"


@pytest.mark.parametrize(
    ("prompt", "task"),
    [
        ("Write a Python function that reverses a list", "code"),
        ("How many apples are left when 3 of 12 are eaten? Calculate the total.", "math"),
        ("Use the clues to solve this puzzle: who lives in the red house?", "reasoning"),
        ("Extract all names and dates as JSON fields from this letter.", "extraction"),
        ("Summarise the following article.", "summarisation"),
        ("Translate this sentence into German.", "translation"),
        ("Write a poem about the sea.", "creative"),
        ("Hello, how are you today?", "chat"),
        ("word " * 100, "unknown"),
        ("", "chat"),
    ],
)
def test_the_words_tell_the_task(prompt: str, task: str) -> None:
    assert task_of(prompt) == task


@given(st.text(max_size=500))
def test_every_prompt_has_a_class_and_finite_features(prompt: str) -> None:
    assert task_of(prompt) in TASKS
    assert all(weight > 0 for weight in features(prompt).values())


@pytest.mark.parametrize(("name", "task", "least"), [("gsm", "math", 0.9), ("crux", "code", 0.99)])
def test_recorded_prompts_are_told_apart(name: str, task: str, least: float) -> None:
    file = ZEROEVAL / f"prompts_{name}.jsonl"
    if not file.exists():
        pytest.fail(f"{file} is absent: the recorded prompts are kept beside the repository, in shared/data")
    found = [task_of(json.loads(line)["prompt"]) for line in file.read_text().splitlines()]
    assert found.count(task) / len(found) >= least


def test_a_prompt_belongs_to_the_cluster_that_its_words_pull_to() -> None:
    poem, proof = (next(iter(features(word))) for word in ("poem", "proof"))
    table = ClusterTable({poem: ((0, 1.0),), proof: ((1, 1.0),)}, ({"x": 0.9}, {"x": 0.2}))
    assert table.of("a poem") == {"x": 0.9}
    assert table.of("proof, proof and a poem") == {"x": 0.2}
    assert table.of("nothing known") == {}
    assert ClusterTable().of("poem") == {}
