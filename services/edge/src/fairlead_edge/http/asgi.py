"""Runs an ASGI application (the control API) on the connection's own task. No lifespan, no websockets."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fairlead_edge.http.messages import Request, ResponseWriter, never

AsgiMessage = MutableMapping[str, Any]
AsgiApp = Callable[
    [
        MutableMapping[str, Any],
        Callable[[], Awaitable[AsgiMessage]],
        Callable[[AsgiMessage], Awaitable[None]],
    ],
    Awaitable[None],
]


async def run_asgi(app: AsgiApp, request: Request, writer: ResponseWriter, extra: dict[str, Any]) -> None:
    """Call ``app`` for one request; ``extra`` joins its scope. A client that leaves cancels the call."""
    scope = _scope(request) | extra
    received = False

    async def receive() -> AsgiMessage:
        nonlocal received
        if received:
            await never()  # the body was all there is; a disconnect cancels this task
        received = True
        return {"type": "http.request", "body": request.body, "more_body": False}

    answer = _Answer(writer)
    await app(scope, receive, answer.send)


def _scope(request: Request) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.headers.get("x-forwarded-proto", "http"),
        "path": request.path,
        "raw_path": request.raw_path,
        "query_string": request.query,
        "root_path": "",
        "headers": [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers.items()
        ],
        "client": (request.client, 0),
        "server": None,
    }


class _Answer:
    """Turns the application's messages into one answer; a single body becomes a single write."""

    def __init__(self, writer: ResponseWriter) -> None:
        self._writer = writer
        self._status = 500
        self._headers: dict[str, str] = {}

    async def send(self, message: AsgiMessage) -> None:
        """ASGI's ``send``."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = {
                name.decode("latin-1"): value.decode("latin-1")
                for name, value in message.get("headers", ())
                if name not in (b"content-length", b"transfer-encoding", b"connection")
            }
        elif message["type"] == "http.response.body":
            await self._body(message.get("body", b""), more=message.get("more_body", False))

    async def _body(self, body: bytes, *, more: bool) -> None:
        if not self._writer.started:
            if not more:
                self._writer.send(self._status, self._headers, body)
                return
            self._writer.start(self._status, self._headers)
        await self._writer.write(body)
        if not more:
            self._writer.end()
