"""Who may call what, and what those are told who may not: keys, roles, paths, methods, bodies."""

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fairlead_common.outcomes import CallState
from fairlead_edge.app import Edge
from fairlead_simulator.testing import Running

from tests.support.edge import ADMIN, CALLER, EXPIRED, OTHER, RunningEdge, edge_here, settings_of, spec_of

CHAT = "/v1/chat/completions"
HELLO = {"model": "auto", "messages": [{"role": "user", "content": "Hello"}]}


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """The error, which must have the OpenAI shape."""
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"message", "type", "param", "code"}
    found: dict[str, Any] = body["error"]
    return found


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "missing_api_key"),
        ({"authorization": "Bearer"}, 401, "missing_api_key"),
        ({"authorization": f"Basic {ADMIN}"}, 401, "missing_api_key"),
        ({"authorization": "Bearer fl-wrong"}, 401, "invalid_api_key"),
        ({"authorization": f"Bearer {EXPIRED}"}, 401, "invalid_api_key"),
        ({"authorization": "Bearer \xe9"}, 401, "invalid_api_key"),
        ({"x-api-key": "fl-wrong"}, 401, "invalid_api_key"),
        ({"x-api-key": CALLER}, 400, None),
        ({"authorization": f"bearer  {CALLER}"}, 400, None),
    ],
)
async def test_keys(tmp_path: Path, headers: dict[str, str], status: int, code: str | None) -> None:
    async with edge_here(tmp_path) as edge:
        given = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        answer = await edge.client(None).post(CHAT, content=b"{}", headers=given)
        assert (answer.status_code, error_of(answer)["code"]) == (status, code)
        assert answer.headers["x-request-id"]
        assert len(edge.calls()) == (status != 401)


@pytest.mark.parametrize(
    ("body", "status", "param", "text"),
    [
        (b"", 400, None, "not valid JSON"),
        (b"{", 400, None, "not valid JSON"),
        (b"\xff", 400, None, "not valid JSON"),
        (b"[1]", 400, None, "must be a JSON object, not an array"),
        (b'"text"', 400, None, "must be a JSON object, not a string"),
        (b"null", 400, None, "must be a JSON object, not null"),
        (b"{}", 400, "model", "'model' must be a string"),
        (b'{"model": "auto"}', 400, "messages", "list of at least one message"),
        (b'{"model": "gpt-5.4-mni", "messages": [{"role": "user", "content": "x"}]}', 404, "model", "gpt-5.4-mini"),
        (b'{"model": "nothing-like-it", "messages": [{"role": "user", "content": "x"}]}', 404, "model", "GET /v1/models"),
        (b'{"model": "auto", "messages": [{"role": "boss", "content": "x"}]}', 400, "messages[0].role", "one of"),
        (b"[" * 5000 + b"]" * 5000, 400, None, "not valid JSON"),
    ],
)  # fmt: skip
async def test_bodies_that_cannot_be_served(
    tmp_path: Path, body: bytes, status: int, param: str | None, text: str, vendors: dict[str, Running]
) -> None:
    async with edge_here(tmp_path, tuple(spec_of(each) for each in vendors.values())) as edge:
        answer = await edge.client().post(CHAT, content=body)
        found = error_of(answer)
        assert (answer.status_code, found["param"]) == (status, param)
        assert text in found["message"]
        assert found["type"] == "invalid_request_error"
        (call,) = edge.calls()
        assert (call.state, call.status, call.call_id) == (
            CallState.REJECTED,
            status,
            answer.headers["x-request-id"],
        )


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_over_20_mb_is_a_413(tmp_path: Path, chunked: bool) -> None:
    body = b'{"model": "auto", "padding": "' + b"x" * (21 * 1024 * 1024) + b'"}'

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 1_000_000):
            yield body[start : start + 1_000_000]

    async with edge_here(tmp_path) as edge:
        answer = await edge.client().post(CHAT, content=pieces() if chunked else body)
        assert (answer.status_code, error_of(answer)["code"]) == (413, "request_too_large")
        assert "20 MB" in error_of(answer)["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", CHAT, 405, "POST"),
        ("DELETE", "/v1/models", 405, "GET"),
        ("POST", "/v1/models/auto", 405, "GET"),
        ("POST", "/livez", 405, "GET"),
        ("GET", "/", 404, None),
        ("GET", "/v1", 404, None),
        ("GET", "/v1/modelsx", 404, None),
        ("POST", "/v1/completions", 404, None),
        ("GET", "/v1/models/none", 404, None),
        ("GET", "/v1/models/openai/none", 404, None),
    ],
)
async def test_paths_and_methods(
    tmp_path: Path, method: str, path: str, status: int, allow: str | None
) -> None:
    async with edge_here(tmp_path) as edge:
        answer = await edge.client().request(method, path)
        error_of(answer)
        assert (answer.status_code, answer.headers.get("allow")) == (status, allow)


async def test_models_are_listed_and_found_by_every_name(tmp_path: Path, vendors: dict[str, Running]) -> None:
    async with edge_here(tmp_path, tuple(spec_of(each) for each in vendors.values())) as edge:
        client = edge.client(CALLER)
        listed = [each["id"] for each in (await client.get("/v1/models")).json()["data"]]
        assert {"openai/gpt-5.4-mini", "class:fast", "auto"} <= set(listed)
        for name in (*listed, "gpt-5.4-mini", "command-a", "openai%2Fgpt-5.4-mini"):
            answer = await client.get(f"/v1/models/{name}")
            assert answer.status_code == 200, name
            assert answer.json()["id"] == name.replace("%2F", "/")
        assert (await edge.client(None).get("/v1/models")).status_code == 401


async def test_roles(tmp_path: Path) -> None:
    async with edge_here(tmp_path) as edge:
        refused = await edge.client(CALLER).get("/api/keys")
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")
        unknown = await edge.client(None).get("/api/keys")
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (401, "missing_api_key")
        away = await edge.client(ADMIN).get("/api/keys")
        assert (away.status_code, away.json()["error"]["code"]) == (503, "database_unavailable")
        assert away.headers["retry-after"] == "2"
        for path in ("/api/docs", "/api/openapi.json"):
            assert (await edge.client(None).get(path)).status_code == 200
        for key in (ADMIN, OTHER):
            missing = await edge.client(key).get("/api/nothing")
            assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
            wrong = await edge.client(key).put("/api/keys", json={})
            assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")
            assert wrong.headers["allow"]


async def test_the_documentation_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    async with edge_here(tmp_path) as edge:
        client = edge.client(None)
        page = await client.get("/api/docs")
        named = re.findall(r"""(?:href|src)="([^"]+)"|url: '([^']+)'""", page.text)
        urls = [one or other for one, other in named]
        assert len(urls) == 4
        for url in urls:
            assert url.startswith("/api/")
            assert (await client.get(url)).status_code == 200, url
        assert "SwaggerUIBundle" in (await client.get("/api/docs/swagger-ui-bundle.js")).text
        policy = page.headers["content-security-policy"]
        (script,) = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"script-src 'self' 'sha256-{digest}';" in policy
        assert "http" not in policy
        assert (await client.get("/api/docs/core.py")).status_code == 401
        unknown = await edge.client(ADMIN).get("/api/docs/..%2fcore.py")
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "not_found")


async def test_the_documentation_asks_for_a_key_to_try_any_operation_with(tmp_path: Path) -> None:
    async with edge_here(tmp_path) as edge:
        schema = (await edge.client(None).get("/api/openapi.json")).json()
    (name,) = schema["components"]["securitySchemes"]
    assert schema["components"]["securitySchemes"][name]["scheme"] == "bearer"
    operations = [each for path in schema["paths"].values() for each in path.values()]
    assert operations
    assert all(each["security"] == [{name: []}] for each in operations)


async def test_liveness_readiness_and_metrics_need_no_key(tmp_path: Path) -> None:
    async with edge_here(tmp_path) as edge:
        client = edge.client(None)
        assert (await client.get("/livez")).json() == {"status": "ok"}
        ready = (await client.get("/readyz")).json()
        assert (ready["ready"], ready["keys_known"]) == (True, True)
        assert "away" in ready["bus"]
        await edge.client().post(CHAT, json={})
        page = (await client.get("/metrics")).text
        assert 'fairlead_calls_total{failover="false",provider="",state="rejected"} 1.0' in page
        assert (await client.head("/metrics")).content == b""


async def test_an_edge_that_knows_no_keys_is_not_ready_and_says_so(tmp_path: Path) -> None:
    edge = Edge(settings_of(tmp_path), ())
    stop, ready = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(edge.run(stop, ready))
    await ready.wait()
    here = RunningEdge(edge.port, tmp_path)
    client = here.client()
    assert (await client.get("/readyz")).status_code == 503
    refused = await client.post(CHAT, json=HELLO)
    assert (refused.status_code, error_of(refused)["code"], refused.headers["retry-after"]) == (
        503,
        "starting",
        "1",
    )
    api = await client.get("/api/keys")
    assert (api.status_code, api.headers["retry-after"]) == (503, "1")
    await client.aclose()
    stop.set()
    await running
