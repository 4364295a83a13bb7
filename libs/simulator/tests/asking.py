"""Plain HTTP for the tests of the simulators: a good question for each vendor, and raw answers."""

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from fairlead_simulator.testing import Launched

KEYS = {
    "authorization": "Bearer k",
    "x-api-key": "k",
    "x-goog-api-key": "k",
    "anthropic-version": "2026-10-21",
    "content-type": "application/json",
}
MODELS = {
    "openai": "gpt-5.4-mini",
    "anthropic": "claude-haiku-5-5",
    "google": "gemini-3.8-flash",
    "mistral": "mistral-medium-3-5",
    "cohere": "command-a-03-2025",
    "compatible": "whatever-7b",
}
PATHS = {"anthropic": "/v1/messages", "cohere": "/v2/chat"}


@dataclass
class Got:
    """A raw answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        """The JSON documents of a stream."""
        lines = self.body.decode().splitlines()
        return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


def send(
    simulator: Launched, path: str, body: dict[str, Any] | None, headers: dict[str, str] | None = None
) -> Got:
    """GET without a body, POST with one. Raises http.client.HTTPException and OSError."""
    connection = http.client.HTTPConnection(urlsplit(simulator.url).netloc, timeout=20)
    try:
        data = None if body is None else json.dumps(body).encode()
        connection.request(
            "GET" if data is None else "POST", path, data, KEYS if headers is None else headers
        )
        answer = connection.getresponse()
        return Got(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def ask(simulator: Launched, prompt: str = "Hello", *, stream: bool = False, **more: Any) -> Got:
    """A chat request in the vendor's form."""
    vendor = simulator.vendor
    if vendor == "google":
        verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
        contents = {"contents": [{"role": "user", "parts": [{"text": prompt}]}], **more}
        return send(simulator, f"/v1/models/{MODELS[vendor]}:{verb}", contents)
    body = {
        "model": MODELS[vendor],
        "messages": [{"role": "user", "content": prompt}],
        "stream": stream,
        **more,
    }
    if vendor == "anthropic":
        body.setdefault("max_tokens", 400)
    return send(simulator, PATHS.get(vendor, "/v1/chat/completions"), body)


def text_of(simulator: Launched, got: Got) -> str:
    """The text of a whole answer."""
    found = got.json
    match simulator.vendor:
        case "anthropic":
            return "".join(block.get("text", "") for block in found["content"])
        case "google":
            parts = found["candidates"][0]["content"]["parts"]
            return "".join(part["text"] for part in parts if not part.get("thought"))
        case "cohere":
            return "".join(part.get("text", "") for part in found["message"]["content"])
        case _:
            return str(found["choices"][0]["message"]["content"])
