"""Failover and live drills over the control API, with the real service behind it."""

import asyncio
from typing import Any

import httpx
import pytest

from services.edge.tests.control.plane import ASK, CHAT, HELLO, Plane, problem
from tests.support.edge import OTHER
from tests.support.waiting import until


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
