"""Routing rules of every kind of condition, end to end through an edge that serves simulated vendors."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fairlead_common.access import BudgetSettings, WorkspaceSettings
from fairlead_common.snapshots.quality import QualitySnapshot, TaskScores
from fairlead_common.snapshots.routes import RoutesSnapshot, RuleSnapshot
from fairlead_common.snapshots.spend import SpendSnapshot
from fairlead_simulator.testing import Running

from tests.support.edge import OTHER, edge_here, journalled, put_snapshot, spec_of
from tests.support.waiting import until

CHAT = "/v1/chat/completions"
Vendors = Mapping[str, Running]


def rule(name: str, when: str | None, to: str, strategy: str = "cost", **more: Any) -> RuleSnapshot:
    """A rule that sends what ``when`` describes (None: everything) to the provider ``to``."""
    conditions = {"providers": [to], **({} if when is None else {"when": when}), **more}
    return RuleSnapshot(rule_id=1, name=name, strategy=strategy, priority=1, conditions=conditions)


def table(*rules: RuleSnapshot) -> RoutesSnapshot:
    numbered = (
        each.model_copy(update={"rule_id": number, "priority": number}) for number, each in enumerate(rules)
    )
    return RoutesSnapshot(workspace_id=1, version=1, rules=tuple(numbered))


def ask(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "auto", "messages": [{"role": "user", "content": text}]} | more


def specs(vendors: Vendors, *names: str) -> Any:
    return tuple(spec_of(vendors[name]) for name in names)


async def test_task_and_language_of_the_users_latest_turn_decide(tmp_path: Path, vendors: Vendors) -> None:
    routes = table(
        rule("German code", "request.task == 'code' && request.language == 'de'", "mistral"),
        rule("code", "request.task == 'code'", "anthropic"),
        rule("else", None, "openai"),
    )
    async with edge_here(tmp_path, specs(vendors, "openai", "anthropic", "mistral"), routes=routes) as edge:
        client = edge.client()
        for text, name in (
            ("Write a Python function that reverses a list", "code"),
            (
                "Schreibe eine Funktion in Python, die eine Liste umdreht und nicht die Reihenfolge",
                "German code",
            ),
            ("Hello, how are you?", "else"),
        ):
            answer = await client.post(CHAT, json=ask(text))
            assert (answer.status_code, answer.headers["x-fairlead-rule"]) == (200, name)
        earlier = [
            {"role": "user", "content": "Write a Python function"},
            {"role": "assistant", "content": "ok"},
        ]
        thanks = {"role": "user", "content": "Thank you very much"}
        answer = await client.post(CHAT, json={"model": "auto", "messages": [*earlier, thanks]})
        assert answer.headers["x-fairlead-rule"] == "else"
        explained = await client.post(
            "/api/providers/routing/explain", json={"model": "auto", "prompt": "Write a Python function"}
        )
        assert explained.json()["rule"] == "code"


async def test_the_hour_in_a_time_zone_decides(tmp_path: Path, vendors: Vendors) -> None:
    routes = table(
        rule("at night", "now.getHours('Europe/Berlin') >= 20", "mistral"),
        rule("on Sundays", "now.getDayOfWeek('Europe/Berlin') == 0", "anthropic"),
        rule("by day", None, "openai"),
    )
    async with edge_here(tmp_path, specs(vendors, "openai", "anthropic", "mistral"), routes=routes) as edge:
        client = edge.client()
        for moment, name in (
            (datetime(2026, 7, 1, 17, 59, tzinfo=UTC), "by day"),
            (datetime(2026, 7, 1, 18, 0, tzinfo=UTC), "at night"),
            (datetime(2026, 12, 1, 18, 0, tzinfo=UTC), "by day"),
            (datetime(2026, 12, 1, 19, 0, tzinfo=UTC), "at night"),
            (datetime(2026, 12, 6, 9, 0, tzinfo=UTC), "on Sundays"),
        ):
            edge.fleet.clock = moment.timestamp
            answer = await client.post(CHAT, json=ask("Hello"))
            assert (answer.status_code, answer.headers["x-fairlead-rule"]) == (200, name)


async def test_calls_under_way_decide(tmp_path: Path, vendors: Vendors) -> None:
    routes = table(
        rule("busy", "'openai' in in_flight && in_flight['openai'] >= 2", "mistral"),
        rule("quiet", None, "openai"),
    )
    async with edge_here(tmp_path, specs(vendors, "openai", "mistral"), routes=routes) as edge:
        client = edge.client()
        assert (await client.post(CHAT, json=ask("Hello"))).headers["x-fairlead-provider"] == "openai"
        async with asyncio.TaskGroup() as group:
            await vendors["openai"].fault("slow_first_token", delay_s=60)
            waiting = [group.create_task(client.post(CHAT, json=ask("Hello"))) for _ in range(2)]
            await until(lambda: edge.fleet.in_flight["openai"] == 2)
            answer = await client.post(CHAT, json=ask("Hello"))
            assert answer.headers["x-fairlead-provider"] == "mistral"
            for each in waiting:
                each.cancel()
        await until(lambda: edge.fleet.in_flight["openai"] == 0)
        await vendors["openai"].clear()
        assert (await client.post(CHAT, json=ask("Hello"))).headers["x-fairlead-provider"] == "openai"


async def test_the_workspaces_own_scores_decide_by_task(tmp_path: Path, vendors: Vendors) -> None:
    models = {
        "openai/gpt-5.4-mini": {"code": 0.95, "math": 0.1},
        "mistral/mistral-medium-3-5": {"code": 0.1, "math": 0.95},
    }
    scores = tuple(
        TaskScores(provider=provider, model=model, task=task, count=400, mean=mean, sources={"abtest": 400})
        for name, by_task in models.items()
        for provider, _, model in (name.partition("/"),)
        for task, mean in by_task.items()
    )
    put_snapshot(tmp_path, "quality", {"1": QualitySnapshot(workspace_id=1, scores=scores)})
    routes = table(rule("good at maths", "quality['mistral/mistral-medium-3-5'] > 0.8", "mistral", "quality"))
    async with edge_here(tmp_path, specs(vendors, "openai", "mistral"), routes=routes) as edge:
        client = edge.client()
        code, maths = (
            "Write a Python function that reverses a list",
            "Solve the equation and calculate the total",
        )
        answer = await client.post(CHAT, json=ask(code))
        assert answer.headers["x-fairlead-provider"] == "openai"
        assert "x-fairlead-rule" not in answer.headers
        answer = await client.post(CHAT, json=ask(maths))
        assert answer.headers["x-fairlead-rule"] == "good at maths"
        other = await edge.client(OTHER).post(CHAT, json=ask(maths))
        assert other.status_code == 200
        assert "x-fairlead-rule" not in other.headers
        listed = (await client.get("/api/providers/routing/quality")).json()["models"]
        (mini,) = [each for each in listed if each["target"] == "openai/gpt-5.4-mini"]
        assert (mini["prior"], mini["prior_source"]) == (0.78, "catalog")
        assert [(each["task"], each["scores"], each["mean"]) for each in mini["tasks"]] == [
            ("code", 400, 0.95),
            ("math", 400, 0.1),
        ]
        assert mini["tasks"][1]["quality"] < mini["quality"] < mini["tasks"][0]["quality"]
        theirs = (await edge.client(OTHER).get("/api/providers/routing/quality")).json()["models"]
        assert not any(each["tasks"] for each in theirs)


def with_budget(**budget: Any) -> WorkspaceSettings:
    return WorkspaceSettings(budget=BudgetSettings(**budget))


def spend(day_usd: float) -> dict[str, SpendSnapshot]:
    """What the fleet has recorded for workspace 1 today."""
    today = datetime.now(UTC).date()
    return {
        "1": SpendSnapshot(workspace_id=1, day=today, day_usd=day_usd, month_usd=day_usd, counted={}),
    }


async def test_a_spent_budget_blocks_with_402_and_leaves_others_alone(
    tmp_path: Path, vendors: Vendors
) -> None:
    settings = with_budget(daily_usd=0.0001)
    async with edge_here(tmp_path, specs(vendors, "openai", "mistral"), workspace=settings) as edge:
        client = edge.client()
        statuses: list[int] = []
        while not statuses or statuses[-1] == 200:
            answer = await client.post(CHAT, json=ask("Hello", model="openai/gpt-5.4-mini", max_tokens=1))
            statuses.append(answer.status_code)
        assert statuses[0] == 200
        assert answer.status_code == 402
        assert answer.json()["error"]["code"] == "budget_spent"
        assert "PUT /api/workspaces/1/settings" in answer.json()["error"]["message"]
        shown = (await client.get("/api/workspaces/1/budget")).json()
        served = [call for call in await journalled(edge, len(statuses)) if call.status == 200]
        assert shown["spent_today_usd"] == pytest.approx(sum(call.cost_usd or 0.0 for call in served))
        assert (shown["remaining_usd"], shown["when_spent"]) == (0.0, "block")
        explained = (await client.post("/api/providers/routing/explain", json={"model": "auto"})).json()
        assert (explained["rule"], explained["strategy"]) == (None, None)
        assert explained["error"] == answer.json()["error"]["message"]
        assert {(each["position"], each["reason"]) for each in explained["candidates"]} == {
            (None, explained["error"])
        }
        (refused,) = [call for call in await journalled(edge, len(statuses)) if call.status == 402]
        assert refused.decision is not None
        assert refused.decision.strategy is None
        assert (await edge.client(OTHER).post(CHAT, json=ask("Hello"))).status_code == 200
        assert (await edge.client(OTHER).get("/api/workspaces/1/budget")).status_code == 404


async def test_a_spent_budget_goes_on_with_the_cheapest(tmp_path: Path, vendors: Vendors) -> None:
    settings = with_budget(daily_usd=1.0, when_spent="cheapest")
    put_snapshot(tmp_path, "spend", spend(1.5))
    routes = table(rule("best", None, "openai", "quality", providers=["openai", "google"]))
    async with edge_here(
        tmp_path, specs(vendors, "openai", "google"), routes=routes, workspace=settings
    ) as edge:
        answer = await edge.client().post("/api/providers/routing/explain", json={"model": "auto"})
        first, second = answer.json()["candidates"][:2]
        assert answer.json()["strategy"] == "cheapest"
        assert first["estimated_cost_usd"] <= second["estimated_cost_usd"]
        assert (await edge.client().post(CHAT, json=ask("Hello"))).status_code == 200


async def test_pacing_and_conditions_turn_to_cheaper_targets_as_the_budget_runs_down(
    tmp_path: Path, vendors: Vendors
) -> None:
    settings = with_budget(daily_usd=100.0, when_spent="cheapest")
    put_snapshot(tmp_path, "spend", spend(10.0))
    routes = table(
        rule("nearly spent", "budget.remaining_share < 0.05", "mistral"),
        rule(
            "balanced",
            None,
            "openai",
            "balanced",
            targets=["openai/gpt-5.5", "openai/gpt-5.4-nano"],
            weights={"quality": 0.8, "cost": 0.2},
        ),
    )
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    async with edge_here(
        tmp_path, specs(vendors, "openai", "mistral"), routes=routes, workspace=settings
    ) as edge:
        edge.fleet.clock = noon.timestamp
        client, seen = edge.client(), []
        for spent_usd in (10.0, 50.0, 90.0, 96.0):
            edge.fleet.spending.record(spend(spent_usd).values())
            answer = await client.post(CHAT, json=ask("Hello"))
            assert answer.status_code == 200
            seen.append((answer.headers["x-fairlead-rule"], answer.headers["x-fairlead-model"]))
        assert seen[:3] == [
            ("balanced", "gpt-5.5"),
            ("balanced", "gpt-5.5"),
            ("balanced", "gpt-5.4-nano"),
        ]
        assert seen[3][0] == "nearly spent"
