"""Simulated providers, one process per vendor, shared by a module's tests and well again before each of them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from fairlead_simulator.testing import FAST, Running, running

VENDORS = ("openai", "anthropic", "google", "mistral", "cohere")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def _simulators() -> AsyncIterator[dict[str, Running]]:
    async with AsyncExitStack() as stack:
        yield {vendor: await stack.enter_async_context(running(vendor)) for vendor in VENDORS}


@pytest.fixture
async def vendors(_simulators: dict[str, Running]) -> dict[str, Running]:
    """All five vendors, none with a fault, all quick."""
    await asyncio.gather(*(_well(simulator) for simulator in _simulators.values()))
    return _simulators


async def _well(simulator: Running) -> None:
    await simulator.clear()
    await simulator.control("PUT", "/_sim/latency", json.loads(FAST))
