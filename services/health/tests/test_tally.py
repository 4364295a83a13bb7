"""What of the calls that are heard counts for the state of their providers."""

from typing import cast

import pytest
from fairlead_common.bus.frames import Heard
from fairlead_common.outcomes import ErrorClass
from fairlead_health.domain.status import Record, StatusSettings
from fairlead_health.domain.watch import Watch
from fairlead_health.probes import Prober
from fairlead_health.tally import Tally

from services.health.tests.test_windows import NOW, frame

NO_PROBER = cast("Prober", None)
"""Failures are none of its business."""


@pytest.mark.parametrize(("excused", "counted"), [(False, {"openai"}), (True, set())])
def test_what_a_callers_deadline_cut_short_does_not_count(excused: bool, counted: set[str]) -> None:
    found = frame(ErrorClass.TIMEOUT_TOTAL)
    (call,) = found.calls
    attempts = tuple(each.model_copy(update={"excused": excused}) for each in call.attempts)
    cut = found.model_copy(update={"calls": (call.model_copy(update={"attempts": attempts}),)})
    watches = {"openai": Watch(Record("openai", since=NOW.timestamp()))}
    tally = Tally(watches, NO_PROBER, StatusSettings())
    assert tally.count([Heard(cut, NOW.timestamp())], NOW.timestamp()) == counted
    assert bool(tally.routed_at) == bool(counted)
