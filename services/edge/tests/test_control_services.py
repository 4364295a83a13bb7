"""Every router of the control API with the real service behind it, on a real bus and database."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import fairlead_abtest.app
import fairlead_comparison.app
import fairlead_failover.app
import fairlead_health.app
import fairlead_routing.app
import httpx
import numpy as np
import pytest
import yaml
from fairlead.bench.quality import from_file, install, quality
from fairlead.bench.workspace import workspace_outcomes
from fairlead.errors import BadInput, FairleadError
from fairlead_abtest.settings import AbtestSettings
from fairlead_common.service import Runtime
from fairlead_common.settings import Settings
from fairlead_comparison.settings import ComparisonSettings
from fairlead_failover.settings import FailoverSettings
from fairlead_health.settings import HealthSettings
from fairlead_routing.settings import RoutingSettings
from fairlead_simulator.testing import Running
from pydantic import SecretStr

from tests.support.edge import ADMIN, OTHER, RunningEdge, edge_here, spec_of, store_keys
from tests.support.servers import free_port
from tests.support.services import service_here
from tests.support.waiting import until

CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "Hello"}]
PREDICTOR, EXPLAIN = "/api/providers/routing/predictor", "/api/providers/routing/explain"
PROMPTS = ("sum of numbers", "poem about rain")
LEARNED = {"x": "openai/gpt-5.4-mini", "y": "google/gemini-3.8-flash"}
ASK = {"model": "gpt-5.4-mini", "messages": HELLO}
Wire = Callable[[Runtime], Awaitable[None]]
SERVICES: dict[str, tuple[type[Settings], Wire]] = {
    "health": (HealthSettings, fairlead_health.app.wire),
    "failover": (FailoverSettings, fairlead_failover.app.wire),
    "routing": (RoutingSettings, fairlead_routing.app.wire),
    "comparison": (ComparisonSettings, fairlead_comparison.app.wire),
    "abtest": (AbtestSettings, fairlead_abtest.app.wire),
}


class Plane:
    """An edge, and the services that a test wants behind it."""

    def __init__(self, edge: RunningEdge, start: Callable[..., Awaitable[Any]]) -> None:
        self.edge = edge
        self.start = start
        """``await plane.start("health")``"""
        self.admin = edge.client()

    async def until(self, path: str, condition: Callable[[Any], bool]) -> Any:
        """What GET gives once ``condition`` holds of it."""
        async with asyncio.timeout(60):
            while True:
                answer = await self.admin.get(path)
                if answer.status_code == 200 and condition(answer.json()):
                    return answer.json()
                await asyncio.sleep(0.05)


@pytest.fixture
async def plane(
    tmp_path: Path,
    nats_url: str,
    postgres_dsn: str,
    vendors: dict[str, Running],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Plane]:
    await store_keys(postgres_dsn)
    monkeypatch.setenv("TEST_KEY", "sk-test")
    specs = tuple(spec_of(vendors[name]) for name in ("openai", "google"))
    rows = [{"name": spec.name, "base_url": spec.base_url, "api_key": "${TEST_KEY}"} for spec in specs]
    providers = tmp_path / "providers.yaml"
    providers.write_text(yaml.safe_dump({"providers": rows}))
    async with AsyncExitStack() as stack:
        edge = await stack.enter_async_context(
            edge_here(tmp_path / "edge", specs, nats_url=nats_url, postgres_dsn=postgres_dsn)
        )
        await until(lambda: edge.fleet.access.synced.is_set() and "keys" in edge.fleet.access)

        async def start(name: str, **more: Any) -> Runtime:
            kind, wire = SERVICES[name]
            settings = kind.model_validate(
                {
                    "nats_url": SecretStr(nats_url),
                    "postgres_dsn": SecretStr(postgres_dsn),
                    "providers_file": providers,
                    "http_port": free_port(),
                    "data_dir": tmp_path / name,
                    **more,
                }
            )
            return await stack.enter_async_context(service_here(name, settings, wire))

        yield Plane(edge, start)


async def problem(answer: httpx.Response) -> tuple[int, str, str]:
    """(status, code, message) of an error, which must have the control API's shape."""
    body = answer.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"code", "message"}
    return answer.status_code, body["error"]["code"], body["error"]["message"]


async def test_health(plane: Plane, vendors: dict[str, Running]) -> None:
    base = "/api/providers/health"
    assert (await problem(await plane.admin.get(base)))[:2] == (503, "service_unavailable")
    await plane.start("health", probe_interval_s=1, probe_interval_unwell_s=1, heartbeat_s=0.5)
    providers = await plane.until(
        base, lambda body: {"healthy"} == {each["status"] for each in body["providers"]}
    )
    assert {each["provider"] for each in providers["providers"]} == {"openai", "google"}
    assert (await plane.admin.get(f"{base}/openai")).json()["health"]["provider"] == "openai"
    assert (await plane.admin.get(f"{base}/openai/history")).status_code == 200
    status, _, message = await problem(await plane.admin.get(f"{base}/nobody"))
    assert status == 404
    assert "nobody" in message
    run = await plane.admin.post(f"{base}/probes/openai/run")
    assert run.status_code == 200
    assert {each["provider"] for each in (await plane.admin.get(f"{base}/probes")).json()["probes"]} == {
        "openai",
        "google",
    }
    status, code, message = await problem(
        await plane.admin.put(f"{base}/probes/openai", json={"interval_s": 0})
    )
    assert (status, code) == (422, "invalid_request")
    assert "body.interval_s" in message
    bad_limit = await plane.admin.get(f"{base}/alerts?limit=0")
    assert (await problem(bad_limit))[:2] == (422, "invalid_request")
    await vendors["openai"].fault("refuse")
    await plane.until(f"{base}/openai", lambda body: body["health"]["status"] == "down")
    alerts = await plane.until(f"{base}/alerts?active=true", lambda body: len(body["alerts"]) > 0)
    alert = alerts["alerts"][0]
    acknowledged = await plane.admin.post(f"{base}/alerts/{alert['alert_id']}/acknowledge", json={"by": "me"})
    assert acknowledged.status_code == 200
    (incident,) = (await plane.admin.get(f"{base}/incidents?provider=openai&limit=5")).json()["incidents"]
    assert (incident["provider"], incident["resolved_at"]) == ("openai", None)
    async with asyncio.timeout(30):
        while (await plane.admin.post(CHAT, json=ASK)).headers["x-fairlead-attempts"] != "1":
            await asyncio.sleep(0.02)


async def test_alerting(plane: Plane) -> None:
    base = "/api/providers/health/alerts"
    await plane.start("health")
    rules = (await plane.admin.get(f"{base}/rules")).json()
    assert rules["version"] == 0
    wrong = {
        "rules": [{"name": "mine", "kind": "error_rate", "severity": "info", "threshold": 2}],
        "by": "ann",
    }
    checked = await plane.admin.post(f"{base}/rules/validate", json=wrong)
    assert [each["where"] for each in checked.json()["problems"]] == ["rules[0].threshold"]
    status, code, message = await problem(await plane.admin.put(f"{base}/rules", json=wrong))
    assert (status, code) == (422, "invalid_rules")
    assert message.startswith("rules[0].threshold: Input should be less than 1")
    right = {"rules": rules["rules"][:1], "by": "ann", "replaces": 0}
    assert (await plane.admin.put(f"{base}/rules", json=right)).json()["version"] == 1
    assert (await problem(await plane.admin.put(f"{base}/rules", json=right)))[:2] == (409, "other_version")
    assert (await plane.admin.get(f"{base}/rules/versions")).json()["versions"][0]["set_by"] == "ann"

    silence = {
        "matchers": {"provider": "openai"},
        "ends_at": "2100-01-01T00:00:00Z",
        "reason": "a drill",
        "by": "ann",
    }
    made = await plane.admin.post(f"{base}/silences", json=silence)
    assert made.status_code == 201
    assert (await problem(await plane.admin.post(f"{base}/silences", json=silence)))[1] == "invalid_silence"
    assert (await plane.admin.get(f"{base}/silences")).json()["silences"] == [made.json()]
    assert (await plane.admin.delete(f"{base}/silences/{made.json()['id']}")).status_code == 200
    assert (await plane.admin.get(f"{base}/silences")).json() == {"silences": []}

    hook = {"name": "hook", "kind": "webhook", "url": "http://127.0.0.1:9/"}
    secret = {"notifiers": [{**hook, "url": "${OPENAI_API_KEY}"}], "by": "ann"}
    checked = await plane.admin.post(f"{base}/notifiers/validate", json=secret)
    assert "only variables NOTIFIER_" in checked.json()["problems"][0]["message"]
    put = await plane.admin.put(f"{base}/notifiers", json={"notifiers": [hook], "by": "ann"})
    assert put.json()["notifiers"] == (await plane.admin.get(f"{base}/notifiers")).json()["notifiers"]
    tested = (await plane.admin.post(f"{base}/notifiers/hook/test")).json()
    assert (tested["fired"]["ok"], tested["fired"]["error"].partition(":")[0]) == (False, "ConnectFailed")
    log = await plane.admin.get("/api/providers/health/deliveries?notifier=hook&state=waiting")
    assert (log.status_code, log.json()) == (200, {"deliveries": []})


async def test_failover(plane: Plane) -> None:
    base = "/api/providers/failover"
    assert (await problem(await plane.admin.get(base)))[:2] == (503, "service_unavailable")
    await plane.start("failover")
    assert (await plane.admin.get(f"{base}/config")).json()["version"] == 0
    config = {"primary_provider": "google", "fallback_providers": ["openai"], "enabled": True}
    saved = await plane.admin.put(f"{base}/config", json=config)
    assert (saved.status_code, saved.json()["version"]) == (200, 1)
    await until(lambda: plane.edge.fleet.policies.get(1) is not None)
    answer = await plane.admin.post(CHAT, json={"model": "auto", "messages": HELLO})
    assert answer.headers["x-fairlead-provider"] == "google"
    assert (await plane.edge.client(OTHER).get(f"{base}/config")).json()["version"] == 0
    status, _, message = await problem(
        await plane.admin.put(f"{base}/config", json={"fallback_providers": ["nobody"]})
    )
    assert status == 422
    assert "nobody" in message
    status, code, message = await problem(
        await plane.admin.put(f"{base}/config", json={"failover_conditions": {"max_error_rate": 2}})
    )
    assert (status, code) == (422, "invalid_request")
    assert "body.failover_conditions.max_error_rate" in message
    taken = await plane.admin.post(
        f"{base}/force", json={"provider": "google", "reason": "maintenance there"}
    )
    assert taken.status_code == 200
    async with asyncio.timeout(30):
        while True:
            answer = await plane.admin.post(CHAT, json={"model": "auto", "messages": HELLO})
            if answer.headers["x-fairlead-provider"] == "openai":
                break
            await asyncio.sleep(0.02)
    assert (
        await plane.admin.post(f"{base}/release", json={"provider": "google", "reason": "done"})
    ).status_code == 200
    for path in ("events", "analytics", "config/versions"):
        assert (await plane.admin.get(f"{base}/{path}")).status_code == 200
    rule = {
        "name": "r",
        "primary": "google/gemini-2.5-flash",
        "chain": ["openai"],
        "triggers": {"error_rate": 0.1},
    }
    rehearsed = await plane.admin.post(f"{base}/config/dry-run", json={"rules": [rule]})
    assert (rehearsed.status_code, rehearsed.json()["switches"]) == (200, []), rehearsed.text
    saved = await plane.admin.put(f"{base}/config", json={"rules": [rule]})
    assert (saved.json()["version"], saved.json()["rules"][0]["chain"]) == (2, ["openai"])
    restored = await plane.admin.post(f"{base}/config/versions/1/restore")
    assert (restored.json()["version"], restored.json()["primary_provider"]) == (3, "google")
    listed = (await plane.admin.get(f"{base}/config/versions")).json()["versions"]
    assert [(each["version"], each["changed_by"]) for each in listed] == [
        (3, "admin"),
        (2, "admin"),
        (1, "admin"),
    ]
    assert (await plane.admin.delete(f"{base}/config")).status_code == 204
    assert (await plane.admin.get(f"{base}/config")).json()["fallback_providers"] == []


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


async def test_compare(plane: Plane) -> None:
    base = "/api/providers/compare"
    assert (await problem(await plane.admin.get(f"{base}/calls")))[:2] == (503, "service_unavailable")
    await plane.start("comparison", performance_every_s=0.2)
    served = await plane.admin.post(CHAT, json=ASK)
    refused = await plane.admin.post(CHAT, json={"model": "nothing", "messages": HELLO})
    ids = {answer.headers["x-request-id"] for answer in (served, refused)}
    found = await plane.until(f"{base}/calls", lambda body: len(body["calls"]) == 2)
    assert {each["call_id"] for each in found["calls"]} == ids
    detail = (await plane.admin.get(f"{base}/calls/{served.headers['x-request-id']}")).json()
    assert len(detail["attempts"]) == 1
    past = f"/api/providers/routing/explain/{served.headers['x-request-id']}"
    explained = (await plane.admin.get(past)).json()
    assert explained["decision"]["candidates"][0]["target"] == "openai/gpt-5.4-mini"
    assert (explained["decision"]["probability"], explained["call"]["state"]) == (1.0, "ok")
    other = plane.edge.client(OTHER)
    assert (await problem(await other.get(past)))[:2] == (404, "unknown_call")
    assert (await other.get(f"{base}/calls")).json()["calls"] == []
    assert (await problem(await other.get(f"{base}/calls/{served.headers['x-request-id']}")))[0] == 404
    status, code, message = await problem(await plane.admin.get(f"{base}/calls?limit=0&state=odd"))
    assert (status, code) == (422, "invalid_request")
    assert "query.limit" in message
    assert "query.state" in message


async def test_ab_tests(plane: Plane) -> None:
    base = "/api/providers/ab-test"
    assert (await problem(await plane.admin.get(base)))[:2] == (503, "service_unavailable")
    await plane.start("comparison")
    await plane.start("abtest")
    test = {"name": "which", "prompt": "Say hello", "providers": ["openai", "google"]}
    created = await plane.admin.post(base, json=test)
    assert created.status_code == 201
    path = f"{base}/{created.json()['id']}"
    await plane.until(path, lambda body: body["status"] == "completed")
    answers = await plane.until(f"{path}/results", lambda body: bool(body))
    assert answers
    assert (await plane.admin.get(f"{path}/analysis")).status_code == 200
    assert (await problem(await plane.admin.post(base, json=test)))[0] == 409
    status, code, message = await problem(
        await plane.admin.post(base, json={**test, "name": "y", "providers": ["openai"]})
    )
    assert (status, code) == (422, "invalid_request")
    assert "body.providers" in message
    other = plane.edge.client(OTHER)
    assert (await problem(await other.get(path)))[0] == 404
    assert (await problem(await other.delete(path)))[0] == 404
    assert (await plane.admin.delete(path)).status_code == 204
    assert (await problem(await plane.admin.get(path)))[0] == 404


async def test_the_scores_of_ab_tests_can_be_learned_from(plane: Plane) -> None:
    await plane.start("comparison")
    await plane.start("abtest")
    prompts = [
        {"messages": [{"role": "user", "content": f"Calculate {n} + {n}"}], "reference": str(2 * n)}
        for n in range(20)
    ]
    test = {"name": "sums", "prompts": prompts, "providers": ["openai", "google"]}
    created = await plane.admin.post("/api/providers/ab-test", json=test)
    assert created.status_code == 201
    path = f"/api/providers/ab-test/{created.json()['id']}"
    await plane.until(path, lambda body: body["status"] == "completed")
    await plane.until(
        f"{path}/results?limit=200",
        lambda body: sum(len(each["answers"]) for each in body["prompts"]) == 40,
    )
    found = await workspace_outcomes(plane.edge.url, ADMIN)
    assert (len(found.prompts), len(found.arms), set(found.tasks)) == (20, 2, {"math"})
    assert np.isfinite(found.quality).all()
    with pytest.raises(BadInput, match="scores for 0 prompts"):
        await workspace_outcomes(plane.edge.url, OTHER)
    with pytest.raises(BadInput, match="answered 401"):
        await workspace_outcomes(plane.edge.url, "fl-wrong")


async def test_every_route_is_documented_and_refuses_callers(plane: Plane) -> None:
    documented = (await plane.admin.get("/api/openapi.json")).json()["paths"]
    assert len(documented) > 40
    caller = plane.edge.client("fl-caller-key-of-the-tests")
    for path, methods in documented.items():
        for method, operation in methods.items():
            assert operation.get("summary"), f"{method} {path} has no summary"
            filled = path
            for parameter in operation.get("parameters", ()):
                filled = filled.replace("{" + parameter["name"] + "}", "1")
            answer = await caller.request(method.upper(), filled, json={})
            assert (await problem(answer))[:2] == (403, "forbidden"), f"{method} {path}"


async def test_a_drill_on_the_live_system_strikes_is_seen_in_answers_and_ends(plane: Plane) -> None:
    await plane.start("failover")
    path = "/api/providers/failover/drills"
    wanted = {
        "provider": "openai",
        "fault": "server_error",
        "share": 0.5,
        "duration_s": 300,
        "reason": "a test",
    }
    started = await plane.admin.post(path, json=wanted)
    assert started.status_code == 201, started.text
    drill_id = started.json()["drill_id"]
    assert [each["drill_id"] for each in (await plane.admin.get(path)).json()["drills"]] == [drill_id]
    await until(lambda: bool(plane.edge.fleet.drills))

    async def ask() -> httpx.Response:
        answer = await plane.admin.post(CHAT, json={**ASK, "model": "openai/gpt-5.4-mini"})
        assert answer.status_code == 200, answer.text
        return answer

    async with asyncio.timeout(60):
        while (struck := await ask()).headers.get("x-fairlead-drill") != drill_id:
            continue
    assert struck.headers["x-fairlead-provider"] == "google"
    call = next(each for each in plane.edge.calls() if each.call_id == struck.headers["x-request-id"])
    assert call.kind == "drill"
    assert [attempt.error_class for attempt in call.attempts] == ["server_error", None]

    assert (await plane.admin.delete(f"{path}/{drill_id}")).status_code == 204
    await until(lambda: not plane.edge.fleet.drills)
    assert (await plane.admin.get(path)).json() == {"drills": []}
    assert (await plane.admin.delete(f"{path}/{drill_id}")).status_code == 404
    assert "x-fairlead-drill" not in (await ask()).headers


@pytest.mark.parametrize(
    ("change", "status", "word"),
    [
        ({"share": 0.6}, 422, "share"),
        ({"duration_s": 901}, 422, "duration_s"),
        ({"fault": "explode"}, 422, "fault"),
        ({"fault": "slow"}, 422, "delay_s"),
        ({"provider": "nobody"}, 404, "not configured"),
    ],
)
async def test_a_drill_beyond_its_limits_is_refused(
    plane: Plane, change: dict[str, Any], status: int, word: str
) -> None:
    await plane.start("failover")
    wanted = {"provider": "openai", "fault": "connect", "share": 0.1, "duration_s": 60, "reason": "a test"}
    answer = await plane.admin.post("/api/providers/failover/drills", json={**wanted, **change})
    assert answer.status_code == status
    assert word in answer.text


async def test_only_the_operator_may_start_a_drill(plane: Plane) -> None:
    answer = await plane.edge.client(OTHER).post("/api/providers/failover/drills", json={})
    assert answer.status_code == 403
