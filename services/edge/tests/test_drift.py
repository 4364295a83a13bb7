"""A vendor's wire that changes is seen in the metrics and told on the bus, also when that was away."""

import asyncio
from pathlib import Path

from fairlead_common.bus.connection import connect
from fairlead_common.bus.reading import read_last
from fairlead_common.events.edge import WireDriftSeen
from fairlead_edge.drift import DriftReporter
from fairlead_models.drift import DriftLog
from fairlead_simulator.testing import Running

from tests.support.edge import edge_here, spec_of
from tests.support.servers import NatsServer


async def test_what_an_answer_had_not_before_is_counted(tmp_path: Path, vendors: dict[str, Running]) -> None:
    simulator = vendors["mistral"]
    await simulator.fault("drift")
    async with edge_here(tmp_path, (spec_of(simulator),)) as edge:
        body = {"model": "mistral/mistral-medium-3-5", "messages": [{"role": "user", "content": "Hello"}]}
        answer = await edge.client().post("/v1/chat/completions", json=body)
        assert answer.status_code == 200
        page = (await edge.client(None).get("/metrics")).text
    assert 'fairlead_wire_drift_total{kind="mistral:answer.x_simulated_field",provider="mistral"' in page


async def test_drift_is_told_once_although_the_bus_was_away(nats_server: NatsServer) -> None:
    log = DriftLog()
    client = await connect(nats_server.url, "test-drift")
    reporting = asyncio.create_task(DriftReporter(log, "edge-1").run(client))
    try:
        nats_server.kill()
        for provider in ("openai", "openai", "groq"):
            with log.of(provider):
                log.note("openai", "usage", "new_tokens")
        nats_server.start()
        await nats_server.ready()
        reader = await connect(nats_server.url, "test-reader")
        async with asyncio.timeout(30):
            while len(told := await read_last(reader, "DRIFT", "provider.drift.>")) < 2:
                await asyncio.sleep(0.05)
        events = [WireDriftSeen.model_validate_json(each.data) for each in told]
        assert {(each.provider, each.kind, each.source) for each in events} == {
            ("openai", "openai:usage.new_tokens", "edge-1"),
            ("groq", "openai:usage.new_tokens", "edge-1"),
        }
        assert (await reader.jetstream().stream_info("DRIFT")).state.messages == 2
        await reader.close()
    finally:
        reporting.cancel()
        await client.close()
