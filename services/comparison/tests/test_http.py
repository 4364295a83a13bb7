"""``/api/providers/compare`` through the control API, the bus, the service and Postgres."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from fairlead_common.bus.publishing import JetStreamPublisher
from fairlead_common.bus.rpc import RpcClient
from fairlead_common.ids import new_id
from fairlead_common.outcomes import ErrorClass
from fairlead_comparison.domain.observations import midnight
from fairlead_edge.control.app import build
from fairlead_edge.fleet import Fleet
from fairlead_models.catalog.entries import built_in
from fairlead_models.providers import BUILT_IN
from nats.aio.client import Client
from starlette.types import Receive, Scope, Send

from services.comparison.tests.running import all_written, running
from services.comparison.tests.traffic import attempt, call, days_ago, failed, frame, now

BASE = "/api/providers/compare"


@asynccontextmanager
async def control(client: Client, workspace_id: int = 1) -> AsyncIterator[httpx.AsyncClient]:
    """The control API as a caller of one workspace sees it."""
    app = build()
    app.state.rpc = lambda: RpcClient(client)
    app.state.fleet = Fleet(BUILT_IN, built_in(now()), Path("unused"))

    async def authenticated(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "fairlead.workspace_id": workspace_id}, receive, send)

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(authenticated), base_url="http://edge", timeout=30
    ) as http:
        yield http


def traffic(end: datetime, minutes: int = 30) -> list[Any]:
    """A fast and dear provider beside a slow and cheap one, both with a few failures, over half an hour."""
    calls = []
    for i in range(minutes * 8):
        at = end - timedelta(minutes=minutes - i // 8)
        wave = (i * 37) % 100
        fast = attempt(
            "openai", "gpt-5.4-mini", duration_ms=300.0 + wave, ttft_ms=90.0, output_tokens=60, cost_usd=0.02
        )
        slow = attempt(
            "mistral",
            "mistral-small",
            duration_ms=900.0 + 2 * wave,
            ttft_ms=300.0,
            output_tokens=60,
            cost_usd=0.001 + wave * 1e-6,
        )
        calls += [call(fast, at=at), call(slow, at=at)]
        if i % 40 == 0:
            calls += [
                call(failed("openai"), at=at),
                call(failed("mistral", ErrorClass.OVERLOADED, model="mistral-small"), at=at),
            ]
    return calls


async def test_comparison_ranking_trend_and_history(
    nats_url: str, postgres_dsn: str, nats_client: Client
) -> None:
    noon = midnight(days_ago(3)) + timedelta(hours=12)
    calls, earlier = traffic(now()), traffic(noon)
    async with running(nats_url, postgres_dsn), control(nats_client) as http:
        await JetStreamPublisher(nats_client.jetstream()).publish(frame(*calls, *earlier))
        await all_written(postgres_dsn, len(calls) + len(earlier))

        found = (await http.get(BASE, params={"targets": "openai,mistral", "window": "1h"})).json()
        by_metric = {each["metric"]: each for each in found["metrics"]}
        pair = by_metric["latency_p50"]["pairs"][0]
        assert (pair["first"], pair["second"], pair["winner"], pair["reason"]) == (
            "mistral",
            "openai",
            "openai",
            None,
        )
        assert pair["low"] < pair["difference"] < pair["high"]
        assert pair["low"] > 0
        assert by_metric["cost_per_call"]["pairs"][0]["winner"] == "mistral"
        assert by_metric["cost_per_call"]["pairs"][0]["relative"] < -0.9
        errors = by_metric["error_rate"]["pairs"][0]
        assert errors["winner"] is None
        assert errors["reason"] == "the 95 % interval of the difference includes zero"
        quality = by_metric["quality"]["pairs"][0]
        assert (
            quality["reason"]
            == "not enough data: mistral has 0 and openai has 0 of at least 10 scored prompts"
        )

        idle = "cohere/command-a-03-2025"
        models = await http.get(
            BASE, params={"targets": ["openai/gpt-5.4-mini", idle], "metrics": "latency_p50"}
        )
        values = {each["target"]: each["n"] for each in models.json()["metrics"][0]["values"]}
        assert values == {"openai/gpt-5.4-mini": 240, idle: 0}
        unknown = await http.get(BASE, params={"targets": ["openai", "mistral/none"]})
        assert unknown.status_code == 404
        assert "nothing is called 'mistral/none'" in unknown.json()["error"]["message"]

        order = (await http.get(f"{BASE}/ranking", params={"by": "latency_p50"})).json()["ranking"]
        assert [(each["target"], each["position"], each["behind_first"]) for each in order] == [
            ("openai", 1, None),
            ("mistral", 2, True),
        ]
        order = (
            await http.get(
                f"{BASE}/ranking",
                params={"level": "model", "cost": 1, "latency": 0, "quality": 0, "reliability": 0},
            )
        ).json()["ranking"]
        assert [each["target"] for each in order] == ["mistral/mistral-small", "openai/gpt-5.4-mini"]
        assert order[0]["parts"]["cost"]["weight"] == 1

        trend = (await http.get(f"{BASE}/trend", params={"metric": "error_rate", "window": "1h"})).json()
        assert [each["target"] for each in trend["series"]] == ["mistral", "openai"]
        assert sum(each["n"] for each in trend["series"][0]["points"]) == 246
        hours = (await http.get(f"{BASE}/trend", params={"step": "hour", "window": "24h"})).json()
        assert sum(each["n"] for each in hours["series"][1]["points"]) == 240

        day = noon.date().isoformat()
        rows = (await http.post(f"{BASE}/history/{day}/recompute")).json()["rows"]
        assert len(rows) == 7
        listed = (
            await http.get(
                f"{BASE}/history",
                params={"provider": "openai", "metric": "cost_per_call", "since": day, "until": day},
            )
        ).json()
        assert listed["rows"][0]["winner"] == "mistral"
        assert listed["rows"][0]["comparison_date"] == day


async def test_calls_are_those_of_the_workspace(
    nats_url: str, postgres_dsn: str, nats_client: Client
) -> None:
    mine = [call(at=days_ago(0) - timedelta(seconds=i)) for i in range(5)]
    mine.append(call(failed(), attempt("anthropic", "claude-haiku-4-5"), at=days_ago(1)))
    theirs = call(workspace_id=2)
    async with (
        running(nats_url, postgres_dsn),
        control(nats_client) as http,
        control(nats_client, 2) as others,
    ):
        await JetStreamPublisher(nats_client.jetstream()).publish(frame(*mine, theirs))
        await all_written(postgres_dsn, 7)
        page = (await http.get(f"{BASE}/calls", params={"limit": 4})).json()
        rest = (await http.get(f"{BASE}/calls", params={"limit": 4, "before": page["next"]})).json()
        assert [each["call_id"] for each in page["calls"] + rest["calls"]] == [each.call_id for each in mine]
        assert rest["next"] is None
        moved = (await http.get(f"{BASE}/calls", params={"failover": True, "provider": "anthropic"})).json()
        assert [each["call_id"] for each in moved["calls"]] == [mine[-1].call_id]
        one = (await http.get(f"{BASE}/calls/{mine[-1].call_id}")).json()
        assert [(each["provider"], each["error_class"]) for each in one["attempts"]] == [
            ("openai", "server_error"),
            ("anthropic", None),
        ]
        assert (await http.get(f"{BASE}/calls/{theirs.call_id}")).status_code == 404
        assert (await others.get(f"{BASE}/calls/{theirs.call_id}")).status_code == 200
        seen = (await others.get(f"{BASE}/calls")).json()["calls"]
        assert [each["call_id"] for each in seen] == [theirs.call_id]
        assert (await others.get(f"{BASE}/calls", params={"before": mine[0].call_id})).json()["calls"] == []


BAD = {
    "?targets=openai": "name two or more targets",
    "?targets=openai,openai": "names 'openai' twice",
    "?targets=openai,openai/gpt-5.4-mini": "which contains it",
    "?metrics=speed": "latency_p50",
    "?window=1y": "from 1m to 31d, found '1y'",
    "?window=32d": "from 1m to 31d",
    "?until=0001-01-01T00:00:00Z": "until",
    "?until=2026-01-01T00:00:00": "timezone",
    "?kind=dream": "live",
    "?" + "&".join(f"targets=p{i}" for i in range(11)): "at most 10",
    "/ranking?latency=0&cost=0&quality=0&reliability=0": "at least one weight",
    "/ranking?latency=-1": "greater than or equal to 0",
    "/ranking?by=charm": "balanced",
    "/trend?window=7h": "6 hours at most",
    "/trend?until=2025-01-01T00:00:00Z": "minutes are kept for 31 days",
    "/history?since=2026-02-02&until=2026-02-01": "until must not be before since",
    "/history?since=9999-12-31": "since",
    "/calls?limit=501": "500",
    "/calls?before=yesterday": "before",
    "/calls?state=fine": "state",
    "/calls/yesterday": "call_id",
}


async def test_bad_input_is_refused_and_named(nats_url: str, postgres_dsn: str, nats_client: Client) -> None:
    async with running(nats_url, postgres_dsn), control(nats_client) as http:
        answers = {path: await http.get(BASE + path) for path in BAD}
        nowhere = await http.get(f"{BASE}/calls/{new_id()}")
    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(BAD, 422)
    wrong = {
        path: text
        for path, says in BAD.items()
        if says not in (text := answers[path].json()["error"]["message"])
    }
    assert not wrong
    assert nowhere.status_code == 404


async def test_without_the_service_the_answer_is_503(nats_client: Client) -> None:
    async with control(nats_client) as http:
        answer = await http.get(BASE)
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "service_unavailable"
