"""The whole service: frames and results in, rows, figures and answers out."""

import asyncio

from fairlead_common.bus.publishing import JetStreamPublisher
from fairlead_common.bus.rpc import RpcClient
from fairlead_common.events.comparison import ProviderPerformance, ProviderPerformancePublished
from fairlead_common.operations import calls as call_ops
from fairlead_common.snapshots.publisher import SnapshotPublisher
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.comparison.tests.running import running
from services.comparison.tests.traffic import attempt, call, frame


async def test_calls_become_rows_and_performance(
    nats_url: str, postgres_dsn: str, nats_client: Client
) -> None:
    heard: list[ProviderPerformancePublished] = []

    async def hear(message: Msg) -> None:
        heard.append(ProviderPerformancePublished.model_validate_json(message.data))

    await nats_client.subscribe("provider.performance.>", cb=hear)
    publisher, rpc = JetStreamPublisher(nats_client.jetstream()), RpcClient(nats_client)
    async with running(nats_url, postgres_dsn):
        event = frame(*(call(attempt(ttft_ms=100.0, output_tokens=31, cost_usd=0.5)) for _ in range(20)))
        await publisher.publish(event)
        async with asyncio.timeout(30):
            while not any(each.performance.models for each in heard):
                await asyncio.sleep(0.05)
        bucket = SnapshotPublisher(nats_client, "performance")
        async with asyncio.timeout(30):
            while (found := await bucket.read("openai")) is None:
                await asyncio.sleep(0.02)  # the event goes first
        figures = ProviderPerformance.model_validate_json(found[1]).models[0]
        assert (figures.model, figures.calls, figures.error_rate) == ("gpt-5.4-mini", 20, 0.0)
        assert figures.cost_per_call_usd == 0.5
        assert figures.output_tokens_per_s is not None
        assert abs(figures.output_tokens_per_s - 31 / 0.3) < 0.001
        listed = await rpc.call(call_ops.CALLS, call_ops.CallsQuery(workspace_id=1))
        assert {each.call_id for each in listed.calls} == {each.call_id for each in event.calls}
