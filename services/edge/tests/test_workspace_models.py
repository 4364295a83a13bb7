"""What a workspace declares of models itself: through the control API, in routes and costs, and for nobody else."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fairlead_common.decisions.targets import Target
from fairlead_simulator.testing import Running

from tests.support.edge import ADMIN, CALLER, OTHER, RunningEdge, edge_here, spec_of, store_keys
from tests.support.waiting import until

CHAT = "/v1/chat/completions"
MODELS = "/api/providers/models"
FLASH = Target("google", "gemini-3.8-flash")
PATH = f"{MODELS}/{FLASH}"
OWN = {
    "aliases": ["ours"],
    "classes": ["house"],
    "equivalent_models": ["openai/gpt-5.4-mini"],
    "pricing": {"input_usd_per_mtok": 500.0, "output_usd_per_mtok": 1000.0},
}


@pytest.fixture
async def edge(
    tmp_path: Path, nats_url: str, postgres_dsn: str, vendors: dict[str, Running]
) -> AsyncIterator[RunningEdge]:
    await store_keys(postgres_dsn)
    specs = tuple(spec_of(vendors[name]) for name in ("openai", "google"))
    async with edge_here(tmp_path, specs, nats_url=nats_url, postgres_dsn=postgres_dsn) as found:
        await until(lambda: "models" in found.fleet.catalogs)
        yield found


async def asked(client: httpx.AsyncClient, model: str) -> httpx.Response:
    return await client.post(CHAT, json={"model": model, "messages": [{"role": "user", "content": "Hello"}]})


def price_of(models: httpx.Response) -> Any:
    (found,) = [each for each in models.json()["models"] if each["target"] == str(FLASH)]
    return found["pricing"]["input_usd_per_mtok"], found["sources"]["pricing.input_usd_per_mtok"]


async def test_a_workspace_has_its_own_prices_and_names_and_nobody_else_has(edge: RunningEdge) -> None:
    mine, theirs = edge.client(OTHER), edge.client(ADMIN)
    listed, _ = price_of(await mine.get(MODELS))
    assert (await theirs.put(PATH, json={"languages": ["de"]})).json()["workspace_id"] == 1
    saved = (await mine.put(PATH, json=OWN)).json()
    assert (saved["workspace_id"], saved["provider"], saved["verified"]) == (2, "google", False)
    await until(lambda: "workspace.2" in edge.fleet.catalogs)
    await until(lambda: edge.fleet.catalog(2).entries[FLASH].languages == ("de",))

    # the control API: each sees its own, and where it is from
    assert price_of(await mine.get(MODELS)) == (500.0, "workspace")
    assert price_of(await theirs.get(MODELS)) == (listed, "genai-prices")
    assert price_of(await theirs.get(f"{MODELS}?workspace_id=2")) == (500.0, "workspace")
    sources = (await mine.get(PATH)).json()["sources"]
    assert (sources["aliases"], sources["languages"], sources["capabilities"]) == (
        "workspace",
        "operator",
        "built-in",
    )
    stand_ins = (await mine.get(f"{PATH}/equivalents")).json()["equivalents"]
    assert stand_ins[0]["reason"] == "declared equivalent by the workspace"
    reasons = (await theirs.get(f"{PATH}/equivalents")).json()["equivalents"]
    assert not any("declared" in each["reason"] for each in reasons)

    # the request path: names, classes, routes and costs
    for name in ("ours", "class:house"):
        answer = await asked(mine, name)
        assert answer.headers["x-fairlead-provider"] == "google"
        usage = answer.json()["usage"]
        cost = (usage["prompt_tokens"] * 500 + usage["completion_tokens"] * 1000) / 1e6
        assert float(answer.headers["x-fairlead-cost-usd"]) == pytest.approx(cost)
        assert (await asked(theirs, name)).status_code == 404
    assert "class:house" in str((await mine.get("/v1/models")).json())
    assert "class:house" not in str((await theirs.get("/v1/models")).json())
    plain = await asked(theirs, str(FLASH))
    assert float(plain.headers["x-fairlead-cost-usd"]) < cost / 100
    explained = await mine.post("/api/providers/routing/explain", json={"model": "ours"})
    assert explained.status_code == 200

    # away again
    assert (await mine.delete(PATH)).status_code == 204
    await until(lambda: "workspace.2" not in edge.fleet.catalogs)
    assert price_of(await mine.get(MODELS)) == (listed, "genai-prices")
    assert (await asked(mine, "ours")).status_code == 404
    gone = await mine.delete(PATH)
    assert (gone.status_code, gone.json()["error"]["message"]) == (
        404,
        f"workspace 2 has declared nothing of '{FLASH}'",
    )


async def test_a_caller_pays_and_is_limited_by_the_prices_of_his_workspace(edge: RunningEdge) -> None:
    mine, theirs = edge.client(OTHER), edge.client(ADMIN)
    await mine.put(PATH, json={"pricing": {"input_usd_per_mtok": 500.0, "output_usd_per_mtok": 1000.0}})
    await until(lambda: "workspace.2" in edge.fleet.catalogs)
    body = {
        "model": str(FLASH),
        "messages": [{"role": "user", "content": "Hello"}],
        "max_completion_tokens": 100,
    }
    limit = {"x-fairlead-max-cost-usd": "0.05"}
    cheap = await theirs.post(CHAT, json=body, headers=limit)
    assert (cheap.headers["x-fairlead-provider"], cheap.headers["x-fairlead-model"]) == FLASH
    dear = await mine.post(CHAT, json=body, headers=limit)
    assert dear.headers.get("x-fairlead-model") != FLASH.model


async def test_nobody_touches_or_sees_what_is_anothers(edge: RunningEdge) -> None:
    mine, theirs, caller = edge.client(OTHER), edge.client(ADMIN), edge.client(CALLER)
    for method, path in (
        ("GET", MODELS),
        ("GET", PATH),
        ("GET", f"{PATH}/equivalents"),
        ("PUT", PATH),
        ("POST", f"{PATH}/verify"),
        ("DELETE", PATH),
    ):
        body = OWN if method == "PUT" else None
        refused = await mine.request(method, f"{path}?workspace_id=1", json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found"), (method, path)
        assert (await theirs.request(method, f"{path}?workspace_id=99", json=body)).status_code == 404
        assert (await caller.request(method, path, json=body)).status_code == 403
    declared = f"{MODELS}/declared"
    assert (await theirs.get(declared)).json() == {"declared": []}

    assert (await theirs.put(f"{PATH}?workspace_id=2", json=OWN)).json()["workspace_id"] == 2
    reported = (await mine.post(f"{PATH}/report", json={"reason": "we pay less"})).json()
    assert (reported["workspace_id"], reported["reported_wrong"]) == (2, "we pay less")
    (row,) = (await theirs.get(declared)).json()["declared"]
    assert (row["workspace_id"], row["reported_wrong"]) == (2, "we pay less")
    assert row["pricing"]["input_usd_per_mtok"] == 500.0
    assert (await mine.get(declared)).json()["declared"] == [row]
    await until(lambda: edge.fleet.catalog(2).entries[FLASH].reported_wrong == "we pay less")
    assert (await theirs.get(PATH)).json()["reported_wrong"] is None
    confirmed = (await mine.post(f"{PATH}/verify")).json()
    assert (confirmed["workspace_id"], confirmed["verified"], confirmed["reported_wrong"]) == (2, True, None)
    await until(lambda: edge.fleet.catalog(2).entries[FLASH].verified)
    assert not edge.fleet.catalog(1).entries[FLASH].verified
