"""Fixtures of the failover service's tests."""

from collections.abc import AsyncIterator

import pytest
from fairlead_simulator.testing import Running
from fairlead_simulator.testing import running as simulator
from nats.aio.client import Client

from services.failover.tests.running import KEY, Fleet


@pytest.fixture(autouse=True)
def _provider_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "key")


@pytest.fixture
async def fleet(nats_client: Client) -> AsyncIterator[Fleet]:
    """The rest of the fleet."""
    found = Fleet(nats_client)
    await found.start()
    yield found
    await found.stop()


@pytest.fixture
async def openai() -> AsyncIterator[Running]:
    """A provider that answers."""
    async with simulator("openai") as found:
        yield found
