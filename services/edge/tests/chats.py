"""Asking for chats and reading the answers."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx
from fairlead_models.transport.protocol import Timeouts
from fairlead_simulator.testing import Running

from tests.support.edge import RunningEdge, journalled, spec_of
from tests.support.upstream import PATIENT

CHAT = "/v1/chat/completions"
MODEL = "gpt-5.4-mini"
MODELS = {
    "openai": "openai/gpt-5.4-mini",
    "anthropic": "anthropic/claude-haiku-5-5",
    "google": "google/gemini-3.8-flash",
    "mistral": "mistral/mistral-medium-3-5",
    "cohere": "cohere/command-a-03-2025",
}
Vendors = Mapping[str, Running]
BROKEN = {"error": {"message": "boom", "type": "server_error", "code": None}}


def ask(model: str = MODEL, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "How do I compare providers?"}], **more}


def specs(vendors: Vendors, *names: str, timeouts: Timeouts = PATIENT) -> Any:
    return tuple(spec_of(vendors[name], timeouts) for name in names or MODELS)


def events(answer: httpx.Response) -> list[Any]:
    """The data of a stream's events; ``[DONE]`` stays a string."""
    found = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    return [each if each == "[DONE]" else json.loads(each) for each in found]


def text_of(stream: list[Any]) -> str:
    return "".join(
        each["choices"][0]["delta"].get("content") or "" for each in stream[:-1] if each.get("choices")
    )


async def only_call(edge: RunningEdge) -> Any:
    (call,) = await journalled(edge, 1)
    return call


def sse(*bodies: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(body).encode() + b"\n\n" for body in bodies)


def token(text: str, finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


async def leave(edge: RunningEdge, body: dict[str, Any], *, after: bytes) -> None:
    """Send a request, wait until ``after`` was received (empty: for nothing), and close the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    payload = json.dumps(body).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer fl-admin-key-of-the-tests\r\n"
    writer.write(f"{head}content-length: {len(payload)}\r\n\r\n".encode() + payload)
    if after:
        await reader.readuntil(after)
    else:
        await writer.drain()
        await asyncio.sleep(0.05)
    writer.close()
