"""``/api/providers/ab-test`` through the control API, the bus, abtest, comparison and Postgres."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fairlead_common.bus.rpc import RpcClient
from fairlead_edge.control.app import build
from nats.aio.client import Client
from starlette.types import Receive, Scope, Send

from tests.support.waiting import until

BASE = "/api/providers/ab-test"
ARMS = ["openai", "anthropic"]


@asynccontextmanager
async def control(client: Client, workspace_id: int = 1) -> AsyncIterator[httpx.AsyncClient]:
    """The control API as a caller of one workspace sees it."""
    app = build()
    app.state.rpc = lambda: RpcClient(client)

    async def authenticated(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "fairlead.workspace_id": workspace_id}, receive, send)

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(authenticated), base_url="http://edge", timeout=60
    ) as http:
        yield http


async def test_the_life_of_a_test(bench: Any) -> None:
    await bench.simulate(*ARMS)
    await bench.simulators["anthropic"].fault("error_500")
    await bench.comparison()
    async with bench.service(), control(bench.client) as http, control(bench.client, 2) as other:
        prompts = [
            {"messages": [{"role": "user", "content": f"What is {i} + {i}?"}], "reference": str(2 * i)}
            for i in range(12)
        ]
        body = {
            "name": "Which one adds?",
            "prompts": prompts,
            "providers": ARMS,
            "params": {"max_tokens": 20},
        }
        made = await http.post(BASE, json=body)
        assert made.status_code == 201, made.text
        test = made.json()
        assert (test["status"], test["metric"], test["jobs"], test["providers"]) == (
            "running",
            "quality",
            24,
            ARMS,
        )
        assert test["estimated_cost_usd"] > 0
        where = f"{BASE}/{test['id']}"
        await bench.completed(test["id"])

        found = (await http.get(where)).json()
        assert (found["status"], found["progress"], found["jobs_failed"]) == ("completed", 1.0, 12)
        assert found["actual_cost_usd"] > 0
        assert found["prompts"] == prompts
        listed = (await http.get(BASE, params={"status": "completed"})).json()["tests"]
        assert [each["id"] for each in listed] == [test["id"]]
        assert "prompts" not in listed[0]

        page = (await http.get(f"{where}/results", params={"offset": 10})).json()
        assert (page["rows"], page["next_offset"]) == (12, None)
        assert [row["prompt_index"] for row in page["prompts"]] == [10, 11]
        good, bad = page["prompts"][0]["answers"]
        assert (good["error_class"], good["quality_score"]) == (None, 0.0)
        assert good["response"]
        assert (bad["error_class"], bad["response"]) == ("server_error", None)

        shown = (await http.get(f"{where}/analysis")).json()
        assert shown["final"] is True
        assert shown["verdict"]["kind"] in ("no_difference", "not_enough_data")  # neither arm is ever right
        assert shown["arms"][1]["failures"] == 12
        latency = next(each for each in shown["comparisons"] if each["metric"] == "latency")
        assert latency["finding"] == "worse"

        renamed = await http.patch(where, json={"name": "Neither"})
        assert renamed.json()["name"] == "Neither"
        assert (await http.patch(where, json={"name": "x", "status": "running"})).status_code == 422
        for method, path in (
            ("GET", where),
            ("GET", f"{where}/results"),
            ("GET", f"{where}/analysis"),
            ("POST", f"{where}/cancel"),
            ("DELETE", where),
        ):
            assert (await other.request(method, path)).status_code == 404
        assert (await other.get(BASE)).json() == {"tests": [], "next_before": None}
        assert (await http.post(f"{where}/cancel")).status_code == 409
        assert (await http.delete(where)).status_code == 204
        assert (await http.get(where)).status_code == 404


async def test_a_test_is_cancelled(bench: Any) -> None:
    await bench.simulate(*ARMS, latency='{"first_token": 0.3}')
    async with bench.service(calls_at_once=2), control(bench.client) as http:
        body = {"name": "t", "prompts": [f"Question {i}?" for i in range(50)], "providers": ARMS}
        test_id = (await http.post(BASE, json=body)).json()["id"]
        await bench.until(test_id, lambda test: test.jobs_done >= 2)
        assert (await http.delete(f"{BASE}/{test_id}")).status_code == 409
        cancelled = await http.post(f"{BASE}/{test_id}/cancel")
        assert cancelled.json()["status"] == "cancelled"
        assert (await http.delete(f"{BASE}/{test_id}")).status_code == 204
        await until(lambda: len(bench.recorder.calls) >= 2)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"providers": ARMS}, "give either 'prompt' or a non-empty list 'prompts'"),
    ({"prompt": "Why?", "providers": ["openai"]}, "body.providers"),
    ({"prompt": "Why?", "providers": ["openai", "nobody"]}, "'nobody' is neither a configured provider"),
    ({"prompt": "Why?", "providers": ARMS, "colour": "red"}, "body.colour"),
    (
        {"prompt": "Why?", "providers": ARMS, "params": {"max_tokens": 0}},
        "'max_tokens' must be a whole number of at least 1",
    ),
    ({"prompt": "x\x00", "providers": ARMS}, "holds the character NUL"),
]


async def test_bad_input_is_refused_with_a_reason(bench: Any) -> None:
    await bench.simulate(*ARMS)
    async with bench.service(), control(bench.client) as http:
        for body, message in BAD:
            refused = await http.post(BASE, json={"name": "t", **body})
            assert refused.status_code == 422
            assert message in refused.json()["error"]["message"]
        for path in ("/0", "/x", f"/{2**31}"):
            assert (await http.get(BASE + path)).status_code == 422
        assert (await http.get(f"{BASE}/4711")).json()["error"]["code"] == "unknown_test"


async def test_without_the_service_the_api_says_so(bench: Any) -> None:
    async with control(bench.client) as http:
        away = await http.get(BASE)
        assert away.status_code == 503
        assert "abtest service does not answer" in away.json()["error"]["message"]
