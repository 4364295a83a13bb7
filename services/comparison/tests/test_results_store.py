"""Results of A/B tests are given out in order, in pieces that fit into one message."""

from fairlead_common.db.database import Database
from fairlead_common.events.abtest import TestResultRecorded
from fairlead_common.ids import stamp
from fairlead_common.operations.ab_results import OfTest, ResultKey
from fairlead_comparison.store.results import ResultStore


async def filled(database: Database, prompts: int, response: str) -> ResultStore:
    store = ResultStore(database)
    for index in reversed(range(prompts)):
        for provider in ("b", "a"):
            event = TestResultRecorded(
                **stamp(),
                test_id=7,
                prompt_index=index,
                provider=provider,
                model="m",
                latency_ms=1.0,
                response=response,
            )
            assert await store.add(event)
            assert not await store.add(event)
    return store


async def test_pages_follow_each_other_without_gap_or_overlap(database: Database) -> None:
    store = await filled(database, 4, "yes")
    seen, after, more = [], ResultKey(), True
    while more:
        rows, more = await store.of_test(OfTest(test_id=7, after=after, limit=3))
        seen += [(row["prompt_index"], row["provider"], row["response"]) for row in rows]
        after = ResultKey.model_validate({**rows[-1]})
    assert seen == [(index, provider, "yes") for index in range(4) for provider in ("a", "b")]
    assert await store.of_test(OfTest(test_id=8)) == ([], False)


async def test_long_answers_make_short_pages_and_can_be_left_out(database: Database) -> None:
    store = await filled(database, 3, "x" * 1_000_000)
    rows, more = await store.of_test(OfTest(test_id=7))
    assert (len(rows), more) == (3, True)
    rows, more = await store.of_test(OfTest(test_id=7, responses=False))
    assert (len(rows), more) == (6, False)
    assert {row["response"] for row in rows} == {None}
