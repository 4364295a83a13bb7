"""Reading what comparison has recorded of a test, piece by piece, so that no piece outgrows a message of the bus."""

from collections.abc import AsyncIterator

from fairlead_common.bus.rpc import RpcClient, RpcError, RpcUnavailable
from fairlead_common.operations.ab_results import RESULTS, OfTest, ResultKey, TestResult, TestResults


class Records:
    """The results of tests, as comparison answers them. Every method raises RpcError(503) when it does not."""

    def __init__(self, rpc: RpcClient) -> None:
        self._rpc = rpc

    async def all(self, test_id: int) -> list[TestResult]:
        """Every result, without the text of the answers."""
        return [each async for page in self._pages(test_id) for each in page]

    async def count(self, test_id: int) -> int:
        """How many results there are."""
        return sum([len(page) async for page in self._pages(test_id)])

    async def page(
        self, test_id: int, prompt_index: int, repeat: int, limit: int
    ) -> tuple[list[TestResult], bool]:
        """Up to ``limit`` results with their answers, from a prompt's repeat on; and whether there are more."""
        after = ResultKey(prompt_index=prompt_index, repeat=repeat)
        found = await self._ask(OfTest(test_id=test_id, after=after, limit=limit))
        return found.results, found.next is not None

    async def _pages(self, test_id: int) -> AsyncIterator[list[TestResult]]:
        after: ResultKey | None = ResultKey()
        while after is not None:
            found = await self._ask(OfTest(test_id=test_id, after=after, responses=False))
            yield found.results
            after = found.next

    async def _ask(self, which: OfTest) -> TestResults:
        try:
            return await self._rpc.call(RESULTS, which)
        except RpcUnavailable as error:
            raise RpcError(503, "unavailable", str(error)) from error
