"""The short form of the drills: what they promise that does not depend on the speed of the machine."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from fairlead.drills.command import timed
from fairlead.drills.drill import drill
from fairlead.drills.scenario import library
from fairlead.drills.stack import Stack, running

RATE = 15.0
SECONDS = {"server-errors": 7.0, "kill-edges": 9.0, "nats-stop-outage": 9.0}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """One stack for all: each drill leaves it as it was."""
    folder: Path = tmp_path_factory.mktemp("drills")
    async with running(folder, library()["server-errors"].stack) as found:
        yield found


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SECONDS)
async def test_no_caller_notices_and_nothing_is_lost_or_doubled(stack: Stack, name: str) -> None:
    scenario = timed(library()[name], SECONDS[name])
    found = (await drill(stack, scenario, RATE)).measures
    assert found.errors == 0, found.examples
    assert found.silent == 0
    assert found.lost == ()
    assert found.doubled == 0
    assert set(found.resent) <= {"answered"}
    assert found.endings["answered"] == found.requests - found.in_flight_lost
    if scenario.switches == "required":
        assert found.switches.keys() == {scenario.provider}
        assert found.recoveries == found.switches
        assert found.rescued > 0
