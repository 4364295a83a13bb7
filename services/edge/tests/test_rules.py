"""Routing rules of every kind of condition, end to end through an edge that serves simulated vendors."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fairlead_common.snapshots.quality import QualitySnapshot, TaskScores
from fairlead_common.snapshots.routes import RoutesSnapshot, RuleSnapshot
from fairlead_simulator.testing import Running

from tests.support.edge import OTHER, edge_here, put_snapshot, spec_of
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
    return {"model": "auto", "messages": [{"role": "user", "content": text}], **more}


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
