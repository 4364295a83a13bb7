"""Comparison and A/B tests over the control API, with the real services behind it."""

import numpy as np
import pytest
from fairlead.bench.workspace import workspace_outcomes
from fairlead.errors import BadInput

from services.edge.tests.control.plane import ASK, CHAT, HELLO, Plane, problem
from tests.support.edge import ADMIN, OTHER


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
    compared = (await plane.admin.get(f"{base}?targets=openai,google")).json()
    assert {value["target"] for value in compared["metrics"][0]["values"]} == {"openai", "google"}
    status, _, message = await problem(await plane.admin.get(f"{base}?targets=openai,gogle"))
    assert status == 404
    assert message.startswith(
        "targets: nothing is called 'gogle', and nothing was measured of it; did you mean google"
    )


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
