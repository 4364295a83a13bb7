"""Fixtures of the health service's tests."""

from collections.abc import AsyncIterator

import pytest
from fairlead_simulator.testing import Running
from fairlead_simulator.testing import running as simulator
from nats.aio.client import Client

from services.health.tests.running import KEY, Observer


@pytest.fixture(autouse=True)
def _provider_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "key")


@pytest.fixture
async def openai() -> AsyncIterator[Running]:
    """A provider."""
    async with simulator("openai") as found:
        yield found


@pytest.fixture
async def observer(nats_client: Client) -> AsyncIterator[Observer]:
    """Who listens to the bus."""
    found = Observer(nats_client)
    await found.start()
    yield found
    if found.task is not None:
        found.task.cancel()
