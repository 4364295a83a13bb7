"""What is counted of a loop that is held up."""

import asyncio

from fairlead_common.loop_delay import EVERY_S, LoopDelay
from prometheus_client import CollectorRegistry

from tests.support.waiting import hold_up, until


async def test_a_loop_that_was_held_up_is_counted_as_late_by_at_least_that() -> None:
    registry = CollectorRegistry()

    def value(name: str, **labels: str) -> float:
        return registry.get_sample_value(f"fairlead_loop_delay_seconds_{name}", labels) or 0.0

    watching = asyncio.create_task(LoopDelay(registry).run())
    await until(lambda: value("count") == 1)
    late_s = value("sum")
    hold_up(EVERY_S + 0.5)
    await until(lambda: value("count") == 2)
    watching.cancel()
    assert value("sum") - late_s >= 0.4
    assert value("bucket", le="0.25") <= 1
