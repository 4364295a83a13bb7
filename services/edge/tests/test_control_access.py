"""Workspaces, keys and declared models through the control API, on a real bus and database, and what edges make of them."""

import asyncio
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest
from fairlead_common.decisions.targets import Target
from fairlead_common.events.comparison import ModelPerformance, ProviderPerformance
from fairlead_common.ids import utc_now
from fairlead_common.snapshots.budgets import BudgetsSnapshot
from fairlead_common.snapshots.follower import SnapshotFollower
from fairlead_common.snapshots.publisher import SnapshotPublisher
from fairlead_models.catalog import file
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.catalog.workspaces import Catalogs
from fairlead_simulator.testing import Running
from nats.aio.client import Client

from tests.support.edge import ADMIN, CALLER, OTHER, RunningEdge, edge_here, put_snapshot, spec_of, store_keys
from tests.support.postgres_proxy import postgres_proxy
from tests.support.servers import NatsServer
from tests.support.waiting import until

CHAT = "/v1/chat/completions"
MODELS = "/api/providers/models"


@pytest.fixture
async def edge(
    tmp_path: Path, nats_url: str, postgres_dsn: str, vendors: dict[str, Running]
) -> AsyncIterator[RunningEdge]:
    await store_keys(postgres_dsn)
    specs = tuple(spec_of(vendors[name]) for name in ("openai", "google"))
    async with edge_here(tmp_path, specs, nats_url=nats_url, postgres_dsn=postgres_dsn) as found:
        await until(lambda: found.fleet.access.synced.is_set() and "keys" in found.fleet.access)
        await until(lambda: "models" in found.fleet.catalogs)
        yield found


async def error_code(answer: httpx.Response) -> str:
    body = answer.json()
    assert body["error"].keys() == {"code", "message"}
    return str(body["error"]["code"])


async def accepted(client: httpx.AsyncClient) -> bool:
    """Whether the client's key may list models."""
    return (await client.get("/v1/models")).status_code == 200


async def becomes(client: httpx.AsyncClient, expected: bool) -> None:
    async with asyncio.timeout(30):
        while await accepted(client) is not expected:
            await asyncio.sleep(0.02)


async def test_the_life_of_a_key(edge: RunningEdge) -> None:
    admin = edge.client()
    created = await admin.post("/api/keys", json={"name": "app", "expires_at": "2099-01-01T00:00:00Z"})
    assert created.status_code == 201
    made = created.json()
    assert (made["workspace_id"], made["role"], made["enabled"]) == (1, "caller", True)
    assert made["hint"] == f"{made['key'][:5]}...{made['key'][-4:]}"
    app = edge.client(made["key"])
    await becomes(app, True)
    assert (await app.get("/api/keys")).status_code == 403
    listed = (await admin.get("/api/keys")).json()
    assert made["id"] in [each["id"] for each in listed]
    assert all("key" not in each and "sha256" not in each for each in listed)
    path = f"/api/keys/{made['id']}"
    changed = await admin.patch(path, json={"name": "renamed", "role": "admin", "expires_at": None})
    assert (changed.json()["name"], changed.json()["expires_at"]) == ("renamed", None)
    assert (await admin.get(path)).json() == changed.json()
    await until(
        lambda: any(
            each.role == "admin" and each.key_id == made["id"] for each in (edge.fleet.keys or {}).values()
        )
    )
    assert (await app.get("/api/keys")).status_code == 200
    assert (await admin.delete(path)).status_code == 204
    await becomes(app, False)
    assert (await admin.get(path)).json()["enabled"] is False
    assert (await admin.delete("/api/keys/nothing")).status_code == 404
    assert (await admin.get("/api/keys/nothing")).status_code == 404
    assert (await admin.patch("/api/keys/nothing", json={"name": "x"})).status_code == 404


async def test_a_key_cannot_lock_itself_out(edge: RunningEdge) -> None:
    admin = edge.client()
    for answer in (
        await admin.delete("/api/keys/admin"),
        await admin.patch("/api/keys/admin", json={"role": "caller"}),
        await admin.patch("/api/keys/admin", json={"expires_at": "2020-01-01T00:00:00Z"}),
    ):
        assert (answer.status_code, await error_code(answer)) == (409, "conflict")
    assert (await admin.patch("/api/keys/admin", json={"name": "me"})).json()["name"] == "me"


async def test_the_life_of_a_workspace(edge: RunningEdge) -> None:
    admin = edge.client()
    created = await admin.post("/api/workspaces", json={"name": "team-a"})
    assert created.status_code == 201
    identity = created.json()["id"]
    again = await admin.post("/api/workspaces", json={"name": "team-a"})
    assert (again.status_code, await error_code(again)) == (409, "conflict")
    path = f"/api/workspaces/{identity}"
    assert (await admin.put(path, json={"name": "team-b"})).json()["name"] == "team-b"
    assert (await admin.put(path, json={"name": "other"})).status_code == 409
    assert (await admin.get(path)).json()["name"] == "team-b"
    made = (await admin.post("/api/keys", json={"name": "k", "workspace_id": identity})).json()
    client = edge.client(made["key"])
    await becomes(client, True)
    assert (await admin.delete(path)).status_code == 204
    await becomes(client, False)
    for answer in (
        await admin.get(path),
        await admin.put(path, json={"name": "x"}),
        await admin.delete(path),
    ):
        assert (answer.status_code, await error_code(answer)) == (404, "not_found")
    assert (await admin.delete("/api/workspaces/1")).status_code == 409


async def test_workspaces_see_nothing_of_each_other(edge: RunningEdge) -> None:
    admin, other = edge.client(), edge.client(OTHER)
    assert [each["id"] for each in (await other.get("/api/workspaces")).json()] == [2]
    assert [each["id"] for each in (await admin.get("/api/workspaces")).json()] == [1, 2]
    assert [each["id"] for each in (await other.get("/api/keys")).json()] == ["other"]
    assert (await other.get("/api/workspaces/1")).status_code == 404
    for path in ("/api/keys/admin", "/api/keys/caller"):
        assert (await other.get(path)).status_code == 404
        assert (await other.patch(path, json={"name": "x"})).status_code == 404
        assert (await other.delete(path)).status_code == 404
    assert (
        await other.post("/api/keys", json={"name": "k", "workspace_id": 1, "role": "admin"})
    ).status_code == 403
    own = await other.post("/api/keys", json={"name": "k"})
    assert (own.status_code, own.json()["workspace_id"]) == (201, 2)


OPERATORS: tuple[tuple[str, str, Any], ...] = (
    ("POST", "/api/workspaces", {"name": "x"}),
    ("PUT", "/api/workspaces/2", {"name": "x"}),
    ("DELETE", "/api/workspaces/2", None),
    ("POST", "/api/providers/models/refresh", None),
    ("POST", "/api/providers/failover/force", {"provider": "openai", "reason": "because"}),
    ("POST", "/api/providers/failover/release", {"provider": "openai", "reason": "because"}),
    ("PUT", "/api/providers/health/openai/maintenance", {}),
    ("DELETE", "/api/providers/health/openai/maintenance", None),
    ("PUT", "/api/providers/health/probes/openai", {}),
    ("POST", "/api/providers/health/probes/openai/run", None),
    ("POST", "/api/providers/health/alerts/a/acknowledge", {"by": "me"}),
    ("POST", "/api/providers/health/alerts/silences", {}),
    ("DELETE", "/api/providers/health/alerts/silences/1", None),
    ("PUT", "/api/providers/health/alerts/rules", {}),
    ("POST", "/api/providers/health/alerts/rules/validate", {}),
    ("GET", "/api/providers/health/alerts/notifiers", None),
    ("PUT", "/api/providers/health/alerts/notifiers", {}),
    ("POST", "/api/providers/health/alerts/notifiers/validate", {}),
    ("POST", "/api/providers/health/alerts/notifiers/pager/test", None),
    ("GET", "/api/providers/health/deliveries", None),
)


async def test_what_touches_all_workspaces_is_the_operators(tmp_path: Path) -> None:
    async with edge_here(tmp_path) as edge:
        for method, path, body in OPERATORS:
            for key in (OTHER, CALLER):
                answer = await edge.client(key).request(method, path, json=body)
                assert (answer.status_code, await error_code(answer)) == (403, "forbidden"), path


UNUSABLE: tuple[tuple[str, str, Any, str], ...] = (
    ("POST", "/api/keys", {}, "body.name: Field required"),
    ("POST", "/api/keys", {"name": "", "role": "boss"}, "body.role: Input should be 'admin' or 'caller'"),
    (
        "POST",
        "/api/keys",
        {"name": "k", "scope": 1},
        "body.scope: there is no such field; known are expires_at",
    ),
    ("POST", "/api/keys", {"name": "k", "expires_at": "2099-01-01T00:00:00"}, "body.expires_at: "),
    ("POST", "/api/keys", {"name": "k", "workspace_id": 10**12}, "body.workspace_id: "),
    ("POST", "/api/keys", {"name": "k", "workspace_id": 77}, "no workspace 77"),
    ("POST", "/api/keys", {"name": "nul\x00"}, "cannot be stored"),
    ("GET", "/api/keys/a%00b", None, ""),
    ("POST", "/api/workspaces", {"name": "Not A Slug"}, "body.name: String should match pattern"),
    ("GET", "/api/workspaces/0", None, "path.workspace_id: "),
    ("GET", "/api/workspaces/x", None, "path.workspace_id: Input should be a valid integer"),
    ("POST", "/api/workspaces", "{", "body: no valid JSON at character 2: "),
    ("PUT", "/api/providers/models/nobody/m", {}, "'nobody' is not configured"),
    ("PUT", "/api/providers/models/openai/m", {"equivalent_models": ["none"]}, "equivalent_models: "),
    ("PUT", "/api/providers/models/openai/m", {"quality": 7}, "body.quality: "),
)


async def test_what_cannot_be_used_is_refused_in_words(edge: RunningEdge) -> None:
    admin = edge.client(**{"content-type": "application/json"})
    for method, path, body, says in UNUSABLE:
        given = {"content": body} if isinstance(body, str) else {"json": body}
        answer = await admin.request(method, path, **given)
        assert answer.status_code in (404, 422), (path, body)
        await error_code(answer)
        assert says in answer.json()["error"]["message"]


async def test_declared_models_reach_the_request_path(edge: RunningEdge, vendors: dict[str, Running]) -> None:
    admin = edge.client()
    path = "/api/providers/models/google/gemini-3.8-flash"
    body = {
        "aliases": ["house-model"],
        "languages": ["de"],
        "deprecated_at": "2099-01-01",
        "pricing": {"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 2.0},
        "equivalent_models": ["openai/gpt-5.4-mini"],
    }
    saved = await admin.put(path, json=body)
    assert (saved.status_code, saved.json()["verified"]) == (200, False)
    await until(lambda: "house-model" in edge.fleet.models.shared._names)
    found = (await admin.get(path)).json()
    assert (found["source"], found["pricing"]["input_usd_per_mtok"]) == ("operator", 1.0)
    assert (found["languages"], found["deprecated_at"]) == (["de"], "2099-01-01")
    stand_ins = (await admin.get(f"{path}/equivalents")).json()["equivalents"]
    assert stand_ins[0] == {
        **stand_ins[0],
        "target": "openai/gpt-5.4-mini",
        "reason": "declared equivalent by an operator",
    }
    asked = {"model": "house-model", "messages": [{"role": "user", "content": "Hello"}]}
    answer = await edge.client(CALLER).post(CHAT, json=asked)
    assert answer.headers["x-fairlead-provider"] == "google"
    assert (await admin.post(f"{path}/report", json={"reason": "the price is old"})).json()["reported_wrong"]
    await until(
        lambda: (
            edge.fleet.models.shared.entries[Target("google", "gemini-3.8-flash")].reported_wrong is not None
        )
    )
    assert (await admin.get(path)).json()["reported_wrong"] == "the price is old"
    verified = (await admin.post(f"{path}/verify")).json()
    assert (verified["verified"], verified["reported_wrong"]) == (True, None)
    assert (await admin.delete(path)).status_code == 204
    assert (await admin.delete(path)).status_code == 404
    await until(lambda: "house-model" not in edge.fleet.models.shared._names)
    for query, expected in (
        ("provider=google", "google/"),
        ("class=fast&provider=openai", "openai/gpt-5.4-nano"),
        ("q=HAIKU", ""),
        ("capability=vision&provider=openai", "openai/"),
        ("max_input_usd_per_mtok=0.01", ""),
        ("input_modality=video&min_context_window=1000000", "google/"),
        ("output_modality=embedding&provider=openai", "openai/text-embedding-"),
        ("available_on=2026-12-01&q=o4-mini", "none is available"),
    ):
        models = (await admin.get(f"/api/providers/models?{query}")).json()["models"]
        assert all(each["target"].startswith(expected) for each in models)
    assert (await admin.get("/api/providers/models/google/none")).status_code == 404


async def test_a_refresh_says_what_changes_and_then_nothing_more(edge: RunningEdge) -> None:
    admin, target = edge.client(), Target("openai", "gpt-5.5")
    await until(lambda: edge.fleet.catalogs.get("models") is not None)
    known = edge.fleet.models
    entries = known.shared.entries
    forgotten = [entry for entry in entries.values() if entry != entries[target]]
    edge.fleet.models = Catalogs(Catalog(forgotten, known.shared.providers), {})
    found = (await admin.post(f"{MODELS}/refresh")).json()
    assert found["changes"] == [{"target": "openai/gpt-5.5", "change": "added", "fields": {}}]
    assert (found["read_anew"], found["price_package"]) == (False, version("genai-prices"))
    edge.fleet.models = known
    assert (await admin.post(f"{MODELS}/refresh")).json()["changes"] == []


async def test_a_catalog_file_that_cannot_be_read_changes_nothing(
    edge: RunningEdge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "BUILT_IN", tmp_path / "models.yaml")
    for text, says in ((None, "models.yaml"), ("models: 7", "models.yaml: classes")):
        if text is not None:
            file.BUILT_IN.write_text(text)
        answer = await edge.client().post(f"{MODELS}/refresh")
        assert answer.status_code == 500
        assert says in answer.json()["error"]["message"]
        assert "stays in use" in answer.json()["error"]["message"]
    assert (await edge.client().get(f"{MODELS}/openai/gpt-5.5")).status_code == 200


async def test_what_was_measured_of_a_model_is_shown(edge: RunningEdge) -> None:
    admin, path = edge.client(), f"{MODELS}/openai/gpt-5.4-mini"
    assert (await admin.get(path)).json()["measured"] is None
    figures = ModelPerformance(
        provider="openai", model="gpt-5.4-mini", calls=120, failures=1, latency_p50_ms=410
    )
    seen = ProviderPerformance(provider="openai", window_s=300, window_end=utc_now(), models=(figures,))
    assert edge.edge is not None
    assert edge.edge._client is not None
    await SnapshotPublisher(edge.edge._client, "performance").put("openai", seen)
    await until(lambda: "openai" in edge.fleet.performance)
    found = (await admin.get(path)).json()["measured"]
    assert (found["calls"], found["latency_p50_ms"], found["ttft_p50_ms"]) == (120, 410, None)
    assert (found["window_s"], found["window_end"][:10]) == (300, f"{seen.window_end:%Y-%m-%d}")


async def test_the_api_versions_of_providers_are_shown(edge: RunningEdge) -> None:
    found = (await edge.client().get(MODELS)).json()["providers"]
    assert {each["provider"]: each["api_version"] for each in found} == {"openai": "v1", "google": "v1"}


async def test_with_the_database_away_writes_say_so_and_calls_go_on(
    tmp_path: Path, nats_url: str, postgres_dsn: str, vendors: dict[str, Running]
) -> None:
    await store_keys(postgres_dsn)
    async with postgres_proxy(postgres_dsn) as proxy:
        specs = (spec_of(vendors["openai"]),)
        async with edge_here(tmp_path, specs, nats_url=nats_url, postgres_dsn=proxy.dsn) as edge:
            admin = edge.client()
            assert (await admin.get("/api/keys")).status_code == 200
            await proxy.cut()
            for answer in (
                await admin.get("/api/keys"),
                await admin.post("/api/keys", json={"name": "k"}),
                await admin.put("/api/providers/models/openai/m", json={}),
            ):
                assert (answer.status_code, await error_code(answer)) == (503, "database_unavailable")
                assert answer.headers["retry-after"] == "2"
            asked = {"model": "auto", "messages": [{"role": "user", "content": "Hello"}]}
            assert (await admin.post(CHAT, json=asked)).status_code == 200


async def test_with_the_bus_away_services_are_said_to_be_away(
    tmp_path: Path, nats_server: NatsServer, vendors: dict[str, Running]
) -> None:
    put_snapshot(tmp_path, "routes", {})
    async with edge_here(tmp_path, (spec_of(vendors["openai"]),), nats_url=nats_server.url) as edge:
        admin = edge.client(ADMIN)
        await until(lambda: edge.fleet.routes.synced.is_set())
        paths = (
            "/api/providers/health",
            "/api/providers/failover",
            "/api/providers/routing/rules",
            "/api/providers/compare/calls",
            "/api/providers/ab-test",
        )
        for state in ("nobody answers", "the bus is away"):
            for path in paths:
                answer = await admin.get(path)
                assert (answer.status_code, await error_code(answer)) == (503, "service_unavailable"), state
                assert answer.headers["retry-after"] == "2"
                assert "try again" in answer.json()["error"]["message"]
            nats_server.kill()


# settings of a workspace


async def test_a_workspace_that_wants_broken_streams_continued_gets_it(
    edge: RunningEdge, vendors: dict[str, Running]
) -> None:
    admin = edge.client()
    path = "/api/workspaces/1/settings"
    assert (await admin.get(path)).json()["stream_failure"] == "error"
    wanted = {"unsupported_parameters": "drop", "stream_failure": "continue"}
    changed = await admin.put(path, json=wanted)
    assert changed.status_code == 200
    assert changed.json().items() >= wanted.items()
    assert (await admin.get(path)).json() == changed.json()
    await until(lambda: edge.fleet.settings(1).stream_failure == "continue")
    assert edge.fleet.settings(2).stream_failure == "error"
    await vendors["openai"].fault("cut", after_chunks=20)
    body = {
        "model": "openai/gpt-5.4-mini",
        "messages": [{"role": "user", "content": "simulate counting to 40"}],
        "stream": True,
    }
    answer = await edge.client(CALLER).post(CHAT, json=body)
    assert '"continued_by":["google/' in answer.text
    assert answer.text.endswith("data: [DONE]\n\n")


async def test_settings_that_make_no_sense_and_those_of_others_are_refused(edge: RunningEdge) -> None:
    for body in ({"stream_failure": "hope"}, {"stream_failures": "error"}):
        assert (await edge.client().put("/api/workspaces/1/settings", json=body)).status_code == 422
    other = edge.client(OTHER)
    assert (await other.put("/api/workspaces/2/settings", json={})).status_code == 200
    assert (await other.get("/api/workspaces/1/settings")).status_code == 404
    assert (await other.put("/api/workspaces/1/settings", json={})).status_code == 404
    assert (await edge.client().get("/api/workspaces/77/settings")).status_code == 404


async def test_limits_of_workspaces_are_published_apart_from_keys(
    edge: RunningEdge, nats_client: Client
) -> None:
    following = SnapshotFollower("budgets", BudgetsSnapshot.model_validate_json)
    job = asyncio.create_task(following.follow(nats_client))

    def told() -> dict[int, float | None] | None:
        found = following.get("workspaces")
        return None if found is None else {number: each.daily_usd for number, each in found.budgets.items()}

    await until(lambda: told() == {})
    for budget, expected in (({"daily_usd": 2.5}, {2: 2.5}), (None, {})):
        settings = {"budget": budget}
        assert (await edge.client(OTHER).put("/api/workspaces/2/settings", json=settings)).status_code == 200
        await until(lambda expected=expected: told() == expected)  # type: ignore[misc]
    job.cancel()
