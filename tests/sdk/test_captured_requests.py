"""Every request captured from the vendors' official SDKs gets the answer that the vendor would give.

The captures are not part of the repository (``../shared/wire``); where they are absent there is nothing to walk.
"""

import http.client
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fairlead_simulator.testing import Launched, launched

WIRE = Path(__file__).parents[2] / ".." / "shared" / "wire"
VENDORS = ("anthropic", "cohere", "google", "mistral", "openai")
REFUSED = {
    "anthropic/auth_token_client.json": (404, "the capture asks for a model 'm'"),
    "anthropic/x_api_key_forced.json": (404, "the capture asks for a model 'm'"),
    "openai/chat_legacy_max_tokens.json": (404, "the capture asks for a model 'm'"),
    "openai/chat_all_params.json": (400, "gpt-5.6 takes temperature only at reasoning effort none"),
    "openai/chat_tools.json": (400, "gpt-5.6 takes tools in chat completions only at reasoning effort none"),
    "openai/chat_stream_tools.json": (
        400,
        "gpt-5.6 takes tools in chat completions only at reasoning effort none",
    ),
    "openai/chat_tool_result.json": (
        400,
        "gpt-5.6 takes tools in chat completions only at reasoning effort none",
    ),
}
"""Captures that the vendor refuses, with the status and the reason. The capturing server did not know them."""


def captured(vendor: str) -> list[tuple[str, dict[str, Any]]]:
    """Name and request of each capture of a vendor that sent one."""
    index = json.loads((WIRE / "INDEX.json").read_text())
    names = [each["file"] for each in index if each["file"].startswith(vendor) and each["n_requests"]]
    return [(name, json.loads((WIRE / name).read_text())["requests"][0]) for name in names]


@pytest.fixture(scope="module", params=VENDORS)
def simulator(request: pytest.FixtureRequest) -> Iterator[Launched]:
    with launched(request.param) as found:
        yield found


def send(simulator: Launched, request: dict[str, Any]) -> tuple[int, str, bytes]:
    """Status, content type and body of the answer to a captured request, sent with its own headers."""
    method, target, _ = request["request_line"].split(" ")
    body = None if request["body_json"] is None else json.dumps(request["body_json"]).encode()
    headers = {
        name: value
        for name, value in request["headers"]
        if name.lower() not in ("host", "content-length", "transfer-encoding", "accept-encoding")
    }
    connection = http.client.HTTPConnection(urlsplit(simulator.url).netloc, timeout=10)
    connection.request(method, target, body, headers)
    answer = connection.getresponse()
    found = answer.status, answer.headers["content-type"], answer.read()
    connection.close()
    return found


def test_every_captured_request_gets_its_answer(
    simulator: Launched, capsys: pytest.CaptureFixture[str]
) -> None:
    if not WIRE.is_dir():
        with capsys.disabled():
            sys.stderr.write(f"\nthere are no captures at {WIRE}: nothing to walk\n")
        return
    wrong = []
    for name, request in captured(simulator.vendor):
        status, media, body = send(simulator, request)
        expected, reason = REFUSED.get(name, (200, ""))
        if status != expected:
            wrong.append(f"{name}: {status} instead of {expected} {reason}: {body[:300]!r}")
        streams = "alt=sse" in request["request_line"] or (request["body_json"] or {}).get("stream") is True
        if status == 200 and media.startswith("text/event-stream") != streams:
            wrong.append(f"{name}: answered as {media}")
        if status == 200 and streams:
            events = [line for line in body.decode().splitlines() if line.startswith("data: {")]
            if not all(json.loads(line[6:]) for line in events) or len(events) < 3:
                wrong.append(f"{name}: {len(events)} events")
        elif status == 200 and not json.loads(body):
            wrong.append(f"{name}: an empty answer")
    assert not wrong, "\n".join(wrong)
