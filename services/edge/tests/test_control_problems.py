"""What the control API says of requests that it cannot read."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.edge import RunningEdge, edge_here, store_keys
from tests.support.waiting import until

RULES, DRAIN, CONFIG = (
    f"/api/providers/{path}" for path in ("routing/rules", "failover/drain", "failover/config")
)
PROBLEMS = [
    ("POST", RULES, '{"name":', "body: no valid JSON at character 9: Expecting value"),
    ("POST", RULES, "[]", "body must be a JSON object, sent with 'Content-Type: application/json'"),
    ("POST", DRAIN, '{"provider": "openai"}', "body.reason: Field required"),
    (
        "POST",
        DRAIN,
        '{"provider": "openai", "reason": "patches", "duration": 5}',
        "body.duration: there is no such field; did you mean duration_s?",
    ),
    (
        "PUT",
        CONFIG,
        '{"rules": [{"name": "a", "chain": ["openai"], "triggers": {"latency_ms": 5}}]}',
        "body.rules.0.triggers.latency_ms: there is no such field; did you mean latency_p95_ms?",
    ),
    (
        "POST",
        "/api/providers/routing/explain",
        '{"model": "auto", "messages": []}',
        (
            "body.messages: there is no such field; known are conversation, input_tokens, max_output_tokens, metadata,"
            " model, needs, prompt, response_format, stream, user"
        ),
    ),
    (
        "POST",
        "/api/workspaces",
        '{"name": "team a"}',
        (
            "body.name: String should match pattern '^[a-z0-9][a-z0-9_-]{0,49}$' (lower-case letters, digits, '_' and"
            " '-', beginning with a letter or digit, at most 50)"
        ),
    ),
    (
        "POST",
        "/api/providers/ab-test",
        '{"name": "a", "providers": ["openai", "google"]}',
        "body: give either 'prompt' or a non-empty list 'prompts'",
    ),
    (
        "POST",
        "/api/providers/ab-test",
        '{"name": "a", "providers": ["openai", "google"], "prompts": [{"txt": "hi"}]}',
        (
            "body.prompts.0: Input should be a valid string; body.prompts.0.messages: Field required;"
            " body.prompts.0.txt: there is no such field; known are messages, reference"
        ),
    ),
    (
        "GET",
        "/api/providers/failover/analytics?since=yesterday",
        "",
        "query.since: Input should be a valid datetime or date, input is too short",
    ),
]


@pytest.fixture
async def edge(tmp_path: Path, nats_url: str, postgres_dsn: str) -> AsyncIterator[RunningEdge]:
    await store_keys(postgres_dsn)
    async with edge_here(tmp_path, (), nats_url=nats_url, postgres_dsn=postgres_dsn) as found:
        await until(lambda: found.fleet.access.synced.is_set() and "keys" in found.fleet.access)
        yield found


async def test_each_problem_says_where_it_is_and_what_may_be_meant(edge: RunningEdge) -> None:
    said = []
    for method, path, content, _ in PROBLEMS:
        headers = {"content-type": "application/json"}
        answer = await edge.client().request(method, path, content=content, headers=headers)
        said.append((answer.status_code, answer.json()["error"]["message"]))
    assert said == [(422, message) for *_, message in PROBLEMS]


async def test_a_body_of_another_type_is_told_which_one_is_wanted(edge: RunningEdge) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    answer = await edge.client().post(
        DRAIN, content='{"provider": "openai", "reason": "patches"}', headers=form
    )
    assert answer.status_code == 422
    assert "sent with 'Content-Type: application/json'" in answer.json()["error"]["message"]
