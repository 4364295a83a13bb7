"""Simulator processes, shared by the tests of a module and reset for each test."""

from collections.abc import Iterator

import pytest
from fairlead_simulator.simulator import SPEAKERS
from fairlead_simulator.testing import Launched, launched


@pytest.fixture(scope="module", params=sorted(SPEAKERS))
def every_process(request: pytest.FixtureRequest) -> Iterator[Launched]:
    """A process of each vendor."""
    with launched(request.param) as found:
        yield found


@pytest.fixture
def simulator(every_process: Launched) -> Iterator[Launched]:
    """Each vendor's simulator as if it had just been started."""
    every_process.reset()
    yield every_process
    every_process.clear()
