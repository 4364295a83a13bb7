"""Measured performance on a real bus and database: told when it changes, by whoever holds the lease, and once it is over."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from fairlead_common.bus.publishing import JetStreamPublisher
from fairlead_common.db.database import Database
from fairlead_common.events.abtest import TestResultRecorded
from fairlead_common.events.calls import Call, CallKind
from fairlead_common.events.comparison import ProviderPerformance, ProviderPerformancePublished
from fairlead_common.ids import stamp, utc_now
from fairlead_common.snapshots.publisher import SnapshotPublisher
from fairlead_comparison.domain.observations import Observation, midnight, observe
from fairlead_comparison.metrics import ComparisonMetrics
from fairlead_comparison.publishing import PerformancePublisher
from fairlead_comparison.settings import ComparisonSettings
from fairlead_comparison.store.observations import ObservationStore
from fairlead_comparison.store.results import ResultStore
from fairlead_comparison.store.sums import SumStore
from nats.aio.client import Client
from nats.aio.msg import Msg
from prometheus_client import CollectorRegistry

from services.comparison.tests.traffic import attempt, call, failed, now


class Clock:
    """The service's time, moved by the test."""

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> datetime:
        return self.now


class Stage:
    """A database to write to, replicas that publish, and what they told."""

    def __init__(self, client: Client, database: Database) -> None:
        self.clock = Clock()
        self.heard: list[ProviderPerformance] = []
        self._client = client
        self._database = database
        self._bucket = SnapshotPublisher(client, "performance")

    def replica(self, settings: ComparisonSettings | None = None) -> PerformancePublisher:
        return PerformancePublisher(
            self._client,
            JetStreamPublisher(self._client.jetstream()),
            SumStore(self._database),
            settings or ComparisonSettings(),
            ComparisonMetrics(CollectorRegistry()),
            self.clock,
        )

    async def write(self, *calls: Call) -> None:
        found = [observe(each, "edge-1", midnight(now() - timedelta(days=30)), utc_now()) for each in calls]
        await ObservationStore(self._database).write(
            [each for each in found if isinstance(each, Observation)]
        )

    async def score(self, *scores: float) -> None:
        for i, score in enumerate(scores):
            await ResultStore(self._database).add(
                TestResultRecorded(
                    **stamp(now()),
                    test_id=1,
                    prompt_index=i,
                    provider="openai",
                    model="gpt-5.4-mini",
                    latency_ms=1.0,
                    quality_score=score,
                )
            )

    async def hear(self, message: Msg) -> None:
        self.heard.append(ProviderPerformancePublished.model_validate_json(message.data).performance)

    async def told(self) -> list[ProviderPerformance]:
        await self._client.flush()
        return self.heard

    async def snapshot(self, provider: str) -> ProviderPerformance:
        found = await self._bucket.read(provider)
        assert found is not None
        return ProviderPerformance.model_validate_json(found[1])


@pytest.fixture
async def stage(nats_client: Client, database: Database) -> AsyncIterator[Stage]:
    found = Stage(nats_client, database)
    subscription = await nats_client.subscribe("provider.performance.>", cb=found.hear)
    yield found
    await subscription.unsubscribe()


async def test_figures_are_told_when_they_change_and_only_then(stage: Stage) -> None:
    publisher = stage.replica()
    await publisher.publish()
    assert await stage.told() == []
    await stage.write(
        *(call(attempt(cost_usd=0.5)) for _ in range(20)), call(attempt("mistral", "mistral-small"))
    )
    await publisher.publish()
    assert sorted(each.provider for each in await stage.told()) == ["mistral", "openai"]
    await publisher.publish()
    stage.clock.now += timedelta(seconds=20)
    await publisher.publish()
    assert len(await stage.told()) == 2
    await stage.write(call(failed()))
    await publisher.publish()
    last = (await stage.told())[-1]
    assert len(stage.heard) == 3
    assert (last.provider, last.models[0].calls, last.models[0].failures) == ("openai", 21, 1)
    assert await stage.snapshot("openai") == last
    assert (last.window_s, last.window_end) == (900, stage.clock.now)


async def test_another_replica_goes_on_where_the_first_stopped(stage: Stage) -> None:
    await stage.write(*(call() for _ in range(20)))
    await stage.replica().publish()
    await stage.replica().publish()
    assert len(await stage.told()) == 1


async def test_only_live_traffic_counts_unless_it_is_said_otherwise(stage: Stage) -> None:
    await stage.write(*(call(kind=CallKind.PROBE) for _ in range(20)), call())
    await stage.replica().publish()
    assert (await stage.snapshot("openai")).models[0].calls == 1
    await stage.replica(ComparisonSettings.from_env({"FAIRLEAD_PERFORMANCE_KINDS": "live, probe"})).publish()
    assert (await stage.snapshot("openai")).models[0].calls == 21


async def test_a_thin_window_falls_back_to_the_longer_one(stage: Stage) -> None:
    await stage.write(*(call(at=now() - timedelta(hours=3)) for _ in range(40)), call())
    await stage.replica().publish()
    model = (await stage.snapshot("openai")).models[0]
    assert (model.calls, model.window_s, model.error_rate) == (41, 86_400, 0.0)


async def test_quality_comes_from_the_scores_of_tests(stage: Stage) -> None:
    await stage.write(*(call() for _ in range(20)))
    await stage.score(0.5, 1.0, 1.0, 0.5)
    await stage.replica().publish()
    model = (await stage.snapshot("openai")).models[0]
    assert (model.quality, model.quality_samples) == (None, 4)
    await stage.score(0.75)
    await stage.replica().publish()
    model = (await stage.snapshot("openai")).models[0]
    assert (model.quality, model.quality_samples) == (0.75, 5)


async def test_a_provider_that_is_not_called_any_more_is_told_of_without_figures(stage: Stage) -> None:
    publisher = stage.replica()
    await stage.write(*(call() for _ in range(20)))
    await publisher.publish()
    stage.clock.now += timedelta(days=2)
    await publisher.publish()
    assert (await stage.snapshot("openai")).models == ()
    await publisher.publish()
    assert len(await stage.told()) == 2
