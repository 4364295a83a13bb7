"""Noticing that a test is complete: one replica at a time asks comparison whether it has every result of a finished test."""

import logging
from typing import Final

from fairlead_common.bus.rpc import RpcClient, RpcError, RpcUnavailable
from fairlead_common.operations import comparison

from fairlead_abtest.store import AbtestStore

logger = logging.getLogger(__name__)

EVERY_S: Final = 1.0


class Completion:
    """Completes tests."""

    def __init__(self, store: AbtestStore, rpc: RpcClient) -> None:
        self._store = store
        self._rpc = rpc

    async def check(self) -> None:
        """Look once at every running test all of whose jobs are done."""
        for test_id, jobs in await self._store.finished():
            try:
                found = await self._rpc.call(comparison.RESULTS, comparison.OfTest(test_id=test_id))
            except (RpcError, RpcUnavailable) as error:
                logger.warning("test %d cannot be completed yet: %s", test_id, error)
                continue
            if len(found.results) >= jobs and await self._store.complete(test_id):
                logger.info("test %d is complete: %d results", test_id, jobs)
