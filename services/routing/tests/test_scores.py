"""Scores of answers on a real bus and database: kept once, summed by workspace, model and task, and followed by edges."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from fairlead_common.events.abtest import TestResultRecorded
from fairlead_common.ids import new_id, utc_now
from fairlead_common.snapshots.follower import SnapshotFollower
from fairlead_common.snapshots.quality import QualitySnapshot
from nats.aio.client import Client

from services.routing.tests.test_service import running
from tests.support.waiting import until


def result(score: float | None, **fields: object) -> TestResultRecorded:
    given = {
        "event_id": new_id(),
        "occurred_at": utc_now(),
        "test_id": 1,
        "prompt_index": 0,
        "provider": "openai",
        "model": "gpt-5.4-mini",
        "latency_ms": 100.0,
        "quality_score": score,
        "workspace_id": 1,
        "task": "code",
    }
    return TestResultRecorded.model_validate(given | fields)


@pytest.fixture
async def followed(nats_client: Client) -> AsyncIterator[SnapshotFollower[QualitySnapshot]]:
    follower = SnapshotFollower("quality", QualitySnapshot.model_validate_json)
    task = asyncio.create_task(follower.follow(nats_client))
    yield follower
    task.cancel()


async def test_results_of_ab_tests_become_qualities_that_edges_follow(
    nats_url: str, postgres_dsn: str, nats_client: Client, followed: SnapshotFollower[QualitySnapshot]
) -> None:
    again = result(1.0)
    events = [
        again,
        again,
        result(0.0),
        result(0.5, task="math"),
        result(None),
        result(0.9, workspace_id=None),
        result(0.9, workspace_id=77),
        result(0.25, provider="mistral", model="m"),
    ]
    async with running(nats_url, postgres_dsn):
        for event in events:
            await nats_client.jetstream().publish(event.subject, event.to_json())
        await until(lambda: "1" in followed and len(followed["1"].scores) == 3)
        await until(lambda: sum(each.count for each in followed["1"].scores) == 4)
        found = {(each.model, each.task): (each.count, each.mean) for each in followed["1"].scores}
        assert found == {
            ("m", "code"): (1, 0.25),
            ("gpt-5.4-mini", "code"): (2, 0.5),
            ("gpt-5.4-mini", "math"): (1, 0.5),
        }
        assert followed["1"].scores[0].sources == {"abtest": 1}
        assert "77" not in followed
