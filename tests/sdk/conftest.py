"""One simulator process for each module of tests with an official SDK."""

from collections.abc import Iterator

import pytest
from fairlead_simulator.testing import Launched, launched


@pytest.fixture(scope="module")
def process(request: pytest.FixtureRequest) -> Iterator[Launched]:
    """The simulator of the module's ``VENDOR``."""
    with launched(request.module.VENDOR) as found:
        yield found


@pytest.fixture(autouse=True)
def simulator(process: Launched) -> Iterator[Launched]:
    """The module's simulator as if it had just been started."""
    process.reset()
    yield process
    process.clear()
