"""Those who go first because nobody who was named is well: what they may answer, and what their refusals mean."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fairlead_common.decisions.policies import compile_policy
from fairlead_common.outcomes import ErrorClass
from fairlead_common.snapshots.failover import PolicyRule, PolicySnapshot
from fairlead_edge.http.messages import Request, ResponseWriter
from fairlead_simulator.testing import Running

from tests.support.edge import RunningEdge, edge_here, journalled, spec_of
from tests.support.upstream import upstream

CHAT, EMBEDDINGS = "/v1/chat/completions", "/v1/embeddings"
ASK: dict[str, Any] = {"model": "openai/gpt-5.4-mini", "messages": [{"role": "user", "content": "Hi"}]}
VECTORS = {"model": "openai/text-embedding-3-small", "input": "entry"}

Vendors = Mapping[str, Running]


def stands_in(edge: RunningEdge, *chain: str) -> None:
    """Health says that openai is down, and the workspace's policy names who stands in."""
    rule = PolicyRule(name="chain", chain=chain)
    edge.fleet.policies = {1: compile_policy(PolicySnapshot(workspace_id=1, version=1, rules=(rule,)))}
    edge.fleet._status = {"openai": "down"}


async def refusing(request: Request, writer: ResponseWriter) -> None:
    writer.send(
        400, {}, b'{"error": {"message": "temperature is not supported", "type": "invalid_request_error"}}'
    )


async def test_a_stand_in_that_refuses_says_nothing_about_the_request(
    tmp_path: Path, vendors: Vendors
) -> None:
    async with upstream(refusing, "mistral") as mistral:
        specs = (spec_of(vendors["openai"]), replace(mistral, name="mistral"), spec_of(vendors["google"]))
        async with edge_here(tmp_path, specs) as edge:
            stands_in(edge, "mistral", "google")
            answer = await edge.client().post(CHAT, json=ASK)
            assert (answer.status_code, answer.headers["x-fairlead-provider"]) == (200, "google")
            (call,) = await journalled(edge, 1)
            assert [(each.provider, each.error_class) for each in call.attempts] == [
                ("mistral", ErrorClass.BAD_REQUEST),
                ("google", None),
            ]


async def test_vectors_of_another_model_never_stand_in(tmp_path: Path, vendors: Vendors) -> None:
    async with edge_here(tmp_path, (spec_of(vendors["openai"]), spec_of(vendors["google"]))) as edge:
        stands_in(edge, "google/gemini-embedding-001")
        answer = await edge.client().post(EMBEDDINGS, json=VECTORS)
        assert (answer.status_code, answer.json()["model"]) == (200, VECTORS["model"]), "a wrong alarm"
        await vendors["openai"].fault("error_500")
        answer = await edge.client().post(EMBEDDINGS, json=VECTORS)
        assert answer.status_code == 503
        message = answer.json()["error"]["message"]
        assert "openai/text-embedding-3-small: server_error" in message
        assert "google/gemini-embedding-001: another model cannot stand in" in message
