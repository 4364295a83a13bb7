"""Whom a drill on the live system strikes: its target, its share, its workspace, its time, and nobody else."""

from datetime import UTC, datetime
from typing import Any

import pytest
from fairlead_common.decisions.drills import ERRORS, striking
from fairlead_common.decisions.targets import Target
from fairlead_common.outcomes import Bucket
from fairlead_common.snapshots.drills import DrillFault, LiveDrill
from hypothesis import given
from hypothesis import strategies as st

NOW = 1_000.0
TARGET = Target("openai", "m")


def drill(**changes: Any) -> LiveDrill:
    fields = {
        "drill_id": "d1",
        "provider": "openai",
        "fault": DrillFault.SERVER_ERROR,
        "share": 0.25,
        "reason": "a test",
        "started_by": "key",
        "started_at": datetime.fromtimestamp(NOW - 10, UTC),
        "ends_at": datetime.fromtimestamp(NOW + 10, UTC),
    }
    return LiveDrill.model_validate({**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "strikes"),
    [
        ({}, True),
        ({"model": "m"}, True),
        ({"model": "other"}, False),
        ({"provider": "google"}, False),
        ({"only_workspace_id": 1}, True),
        ({"only_workspace_id": 2}, False),
        ({"ends_at": datetime.fromtimestamp(NOW, UTC)}, False),
        ({"started_at": datetime.fromtimestamp(NOW + 1, UTC)}, False),
        ({"share": 0.2}, False),
    ],
)
def test_a_drill_strikes_only_what_it_is_meant_for(changes: dict[str, Any], strikes: bool) -> None:
    found = striking([drill(**changes)], TARGET, 1, NOW, 0.2)
    assert (found is not None) == strikes


@given(st.floats(0.01, 1), st.floats(0, 1, exclude_max=True))
def test_the_share_is_that_of_the_draws_below_it(share: float, draw: float) -> None:
    assert (striking([drill(share=share)], TARGET, 1, NOW, draw) is not None) == (draw < share)


def test_of_several_drills_the_first_that_strikes_decides() -> None:
    others = [drill(drill_id="other", provider="google"), drill(), drill(drill_id="later")]
    found = striking(others, TARGET, 1, NOW, 0.0)
    assert found is not None
    assert found.drill_id == "d1"
    assert striking([], TARGET, 1, NOW, 0.0) is None


def test_every_fault_is_one_that_another_provider_can_rescue() -> None:
    assert ERRORS.keys() == set(DrillFault)
    for error in ERRORS.values():
        assert error is None or (error.retryable_elsewhere and error.bucket is not Bucket.CALLER)
