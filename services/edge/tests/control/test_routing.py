"""Routing over the control API, with the real services behind it: rules, predictors, what-if."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from fairlead.bench.quality import from_file, install, quality
from fairlead.errors import FairleadError

from services.edge.tests.control.plane import CHAT, HELLO, Plane, problem
from tests.support.edge import ADMIN, OTHER
from tests.support.waiting import until

PREDICTOR, EXPLAIN = "/api/providers/routing/predictor", "/api/providers/routing/explain"
PROMPTS = ("sum of numbers", "poem about rain")
LEARNED = {"x": "openai/gpt-5.4-mini", "y": "google/gemini-3.8-flash"}


async def test_routing(plane: Plane) -> None:
    base = "/api/providers/routing"
    assert (await problem(await plane.admin.get(f"{base}/rules")))[:2] == (503, "service_unavailable")
    await plane.start("routing")
    rule = {"name": "cheap", "strategy": "cost", "priority": 5, "conditions": {"providers": ["google"]}}
    created = await plane.admin.post(f"{base}/rules", json=rule)
    assert created.status_code == 201
    path = f"{base}/rules/{created.json()['id']}"
    await until(lambda: 1 in plane.edge.fleet.tables)
    answer = await plane.admin.post(CHAT, json={"model": "auto", "messages": HELLO})
    assert (answer.headers["x-fairlead-provider"], answer.headers["x-fairlead-rule"]) == ("google", "cheap")
    explained = (await plane.admin.post(f"{base}/explain", json={"model": "auto"})).json()
    assert (explained["rule"], explained["candidates"][0]["target"].partition("/")[0]) == ("cheap", "google")
    unknown = (await plane.admin.post(f"{base}/explain", json={"model": "nothing"})).json()
    assert "does not exist" in unknown["error"]
    status, _, message = await problem(
        await plane.admin.post(f"{base}/rules", json={**rule, "name": "x", "conditions": {"provider": ["a"]}})
    )
    assert status == 422
    assert "provider" in message
    status, _, message = await problem(
        await plane.admin.post(f"{base}/rules", json={**rule, "strategy": "magic"})
    )
    assert status == 422
    assert "magic" in message
    listed = (await plane.admin.get(f"{base}/strategies")).json()["strategies"]
    assert {each["name"] for each in listed} >= {"latency", "cheapest", "least_load"}
    assert (await problem(await plane.admin.post(f"{base}/rules", json=rule)))[0] == 409
    other = plane.edge.client(OTHER)
    assert (await other.get(f"{base}/rules")).json()["rules"] == []
    assert (await problem(await other.get(path)))[0] == 404
    assert (await problem(await other.delete(path)))[0] == 404
    assert (await plane.admin.put(path, json={**rule, "enabled": False})).json()["enabled"] is False
    assert [each["name"] for each in (await plane.admin.get(f"{base}/rules")).json()["rules"]] == ["cheap"]
    assert (await plane.admin.get(path)).json()["priority"] == 5
    assert (await plane.admin.get(f"{base}/table")).json()["workspace_id"] == 1
    assert (await plane.admin.delete(path)).status_code == 204
    assert (await problem(await plane.admin.get(path)))[0] == 404
    assert (await problem(await plane.admin.get(f"{base}/rules/{2**70}")))[0] in (404, 422)
    changes = (await plane.admin.get(f"{path}/versions")).json()["changes"]
    assert [(each["action"], each["changed_by"]) for each in changes] == [
        ("deleted", "admin"),
        ("changed", "admin"),
        ("created", "admin"),
    ]
    (gone,) = (await plane.admin.get(f"{base}/versions/diff?since=1&until=3")).json()["rules"]
    assert (gone["name"], gone["after"]) == ("cheap", None)
    assert (await problem(await other.post(f"{base}/versions/1/restore")))[:2] == (404, "unknown_version")
    restored = await plane.admin.post(f"{base}/versions/1/restore")
    assert [each["enabled"] for each in restored.json()["rules"]] == [True]
    assert (await plane.admin.get(f"{base}/versions/4")).json() == restored.json()
    assert (await plane.admin.get(f"{base}/versions?limit=1")).json()["current"] == 4
    await plane.start("comparison")
    past = f"{base}/explain/{answer.headers['x-request-id']}"
    decided = await plane.until(past, lambda body: bool(body["rules"]))
    assert [(each["name"], each["applies"], each["decides"]) for each in decided["rules"]] == [
        ("cheap", True, True)
    ]
    assert (decided["call"]["table_version"], decided["decision"]["rule_version"]) == (1, 1)


async def test_rules_are_switched_under_load_without_a_failed_request(plane: Plane) -> None:
    base = "/api/providers/routing/rules"
    await plane.start("routing")
    rule = {"name": "all", "strategy": "cost", "conditions": {"providers": ["google"]}}
    path = f"{base}/{(await plane.admin.post(base, json=rule)).json()['id']}"
    await until(lambda: plane.edge.fleet.table(1).version == 1)
    stop, answers = asyncio.Event(), []

    async def ask() -> None:
        while not stop.is_set():
            answers.append(await plane.admin.post(CHAT, json={"model": "auto", "messages": HELLO}))

    callers = [asyncio.create_task(ask()) for _ in range(4)]
    try:
        for version in range(2, 12):
            provider = ("google", "openai")[version % 2]
            conditions = {"providers": [provider]}
            await plane.admin.put(path, json={**rule, "conditions": conditions})
            await until(lambda at=version: plane.edge.fleet.table(1).version == at)  # type: ignore[misc]
            begun = len(answers) + len(callers)
            await until(lambda count=begun: len(answers) > count)  # type: ignore[misc]
            assert answers[-1].headers["x-fairlead-provider"] == provider
    finally:
        stop.set()
        await asyncio.gather(*callers)
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["x-fairlead-rule"] for answer in answers} <= {"all"}


async def test_a_learned_predictor_is_installed_and_removed_under_load_without_a_failed_request(
    plane: Plane, tmp_path: Path
) -> None:
    await plane.start("routing")
    await until(lambda: "openai/gpt-5.4-mini" in map(str, plane.edge.fleet.catalog(1).entries))
    rule = {"name": "best", "strategy": "quality", "conditions": {"targets": list(LEARNED.values())}}
    assert (await plane.admin.post("/api/providers/routing/rules", json=rule)).status_code == 201
    await until(lambda: plane.edge.fleet.table(1).version == 1)
    table, key = learned(tmp_path), tmp_path / "key"
    key.write_text(ADMIN)
    stop, answers = asyncio.Event(), []

    async def ask(prompt: str) -> httpx.Response:
        messages = [{"role": "user", "content": prompt}]
        answer = await plane.admin.post(CHAT, json={"model": "auto", "messages": messages})
        answers.append(answer)
        return answer

    async def load(prompt: str) -> None:
        while not stop.is_set():
            await ask(prompt)

    async def providers() -> list[str]:
        return [(await ask(prompt)).headers["x-fairlead-provider"] for prompt in PROMPTS]

    callers = [asyncio.create_task(load(prompt)) for prompt in PROMPTS]
    try:
        before = await providers()
        assert before[0] == before[1]
        await asyncio.to_thread(install, table, plane.edge.url, key, LEARNED)
        await until(lambda: plane.edge.fleet.prediction(1, str) is not None)
        assert await providers() == ["openai", "google"]
        explained = await plane.admin.post(EXPLAIN, json={"model": "auto", "prompt": PROMPTS[1]})
        assert (explained.json()["predictor"], type(explained.json()["cluster"])) == (1, int)
        assert explained.json()["candidates"][0]["quality_source"] == "predictor"
        with pytest.raises(FairleadError, match="unknown_model"):
            await asyncio.to_thread(install, table, plane.edge.url, key, {})
        found = (await plane.admin.get(PREDICTOR)).json()
        assert (found["version"], found["changed_by"], found["table"]["models"]) == (
            1,
            "admin",
            sorted(LEARNED.values()),
        )
        assert (await problem(await plane.edge.client(OTHER).get(PREDICTOR)))[:2] == (404, "no_predictor")
        assert (await plane.admin.delete(PREDICTOR)).status_code == 204
        await until(lambda: plane.edge.fleet.prediction(1, str) is None)
        assert await providers() == before
        assert (await plane.admin.post(f"{PREDICTOR}/versions/1/restore")).json()["version"] == 3
        await until(lambda: plane.edge.fleet.prediction(1, str) is not None)
        assert await providers() == ["openai", "google"]
        versions = (await plane.admin.get(f"{PREDICTOR}/versions")).json()["versions"]
        assert [each["action"] for each in versions] == ["restored", "removed", "installed"]
        last = await ask(PROMPTS[0])
    finally:
        stop.set()
        await asyncio.gather(*callers)
    assert {answer.status_code for answer in answers} == {200}
    await plane.start("comparison")
    past = f"{EXPLAIN}/{last.headers['x-request-id']}"
    decision = (await plane.until(past, lambda body: body["decision"] is not None))["decision"]
    assert (decision["predictor"], type(decision["cluster"])) == (3, int)


def learned(folder: Path) -> Path:
    """A table that knows two kinds of prompts: the model x is good at the first, y at the other."""
    rows = [
        {"question": f"{PROMPTS[n % 2]} {n}", "scores": {"x": 1 - n % 2, "y": n % 2}, "cluster_id": 0}
        for n in range(200)
    ]
    (folder / "outcomes.json").write_text(json.dumps(rows))
    assert quality(from_file(folder / "outcomes.json"), 0, folder / "table.json") == 0
    return folder / "table.json"


async def test_what_if_analytics_and_feedback(plane: Plane) -> None:
    base = "/api/providers/routing"
    await plane.start("routing", quality_every_s=0.2)
    await plane.start("comparison")
    google = {"name": "google", "strategy": "cost", "conditions": {"providers": ["google"]}}
    await plane.admin.post(f"{base}/rules", json=google)
    await until(lambda: 1 in plane.edge.fleet.tables)
    answers = [await plane.admin.post(CHAT, json={"model": "auto", "messages": HELLO}) for _ in range(6)]
    assert {answer.headers["x-fairlead-provider"] for answer in answers} == {"google"}
    found = await plane.until(f"{base}/analytics", lambda body: body["calls"] == 6)
    assert [(each["name"], each["calls"]) for each in found["rules"]] == [("google", 6)]
    assert found["savings"]["calls"] == 6
    period = {"since": found["since"], "until": found["until"]}
    openai = {**google, "conditions": {"providers": ["openai"]}}
    changed = await plane.admin.post(f"{base}/what-if", json={**period, "rules": [openai]})
    assert (changed.json()["replayed"], changed.json()["changed"]) == (6, 6)
    unknown, without = changed.json()["assumed"]
    assert "because its versions are not known: the failover service does not answer" in unknown
    assert without == "budget: none, because the workspace has none now"
    same = await plane.admin.post(f"{base}/what-if", json={**period, "version": 1})
    assert (same.json()["replayed"], same.json()["changed"]) == (6, 0)
    await plane.start("failover")
    settings = {"budget": {"daily_usd": 1e-9}}
    assert (await plane.admin.put("/api/workspaces/1/settings", json=settings)).status_code == 200
    await until(lambda: plane.edge.fleet.settings(1).budget is not None)
    broke = (await plane.admin.post(f"{base}/what-if", json={**period, "rules": [openai]})).json()
    assert (broke["replayed"], broke["blocked"], broke["unserved"]) == (6, 5, 5)
    versions, spent = broke["assumed"]
    assert versions == "failover policy: the version in force at each call; none before the first"
    assert spent.startswith("budget: the limits of now at all times; spent before the period 0.0")
    for problem_, body in (
        ("exactly one", {**period, "rules": [], "version": 1}),
        ("there is no rule 99", {**period, "rule": openai, "rule_id": 99}),
        ("there is no version 9", {**period, "version": 9}),
        ("until must be after since", {"since": period["until"], "until": period["since"], "rules": []}),
        ("is not a condition", {**period, "rule": {**openai, "conditions": {"modles": []}}}),
    ):
        status, _, message = await problem(await plane.admin.post(f"{base}/what-if", json=body))
        assert status in (404, 422)
        assert problem_ in message
    opinion = {"call_id": answers[0].headers["x-request-id"], "thumb": "down", "by": "ada"}
    assert (await plane.admin.post(f"{base}/feedback", json=opinion)).json()["score"] == 0.0
    again = (await plane.admin.post(f"{base}/feedback", json={**opinion, "thumb": "up"})).json()
    assert (again["score"], again["by"], again["provider"]) == (1.0, "ada", "google")
    unsigned = {"call_id": opinion["call_id"], "score": 0.5}
    assert (await plane.admin.post(f"{base}/feedback", json=unsigned)).json()["by"] == "admin"

    def scores() -> list[tuple[int, float, dict[str, int]]]:
        table = plane.edge.fleet.qualities.get(1)
        found = [each for by_task in table.scores.values() for each in by_task.values()] if table else []
        return [(each.count, each.mean, dict(each.sources)) for each in found]

    await until(lambda: scores() == [(2, 0.75, {"feedback": 2})])
    other = plane.edge.client(OTHER)
    assert (await problem(await other.post(f"{base}/feedback", json=opinion)))[:2] == (404, "unknown_call")
    assert (await other.get(f"{base}/analytics")).json()["calls"] == 0
    assert (await problem(await plane.admin.post(f"{base}/feedback", json={**opinion, "score": 1})))[0] == 422
