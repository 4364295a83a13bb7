"""Where every request of the edge arrives: model API, control API, liveness. Keys are checked here, once for all."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from fairlead_common.access import KeyEntry
from fairlead_common.ids import new_id

from fairlead_edge.dataplane.answers import JSON_HEADERS, NoAnswer, error_body, refuse
from fairlead_edge.dataplane.calls import RunningCall
from fairlead_edge.dataplane.chat import ChatCompletions
from fairlead_edge.fleet import Fleet, unix_now
from fairlead_edge.http.asgi import AsgiApp, run_asgi
from fairlead_edge.http.messages import Request, ResponseWriter
from fairlead_edge.tracing import CallTracer

logger = logging.getLogger(__name__)

OPEN_PATHS = ("/api/docs", "/api/openapi.json")
READ_METHODS = ("GET", "HEAD", "OPTIONS")

Plain = Callable[[], Awaitable[tuple[int, str, bytes]]]
"""An unauthenticated page: status, content type, body."""


class Front:
    """The server's handler."""

    def __init__(
        self,
        fleet: Fleet,
        chat: ChatCompletions,
        control: AsgiApp,
        pages: Mapping[str, Plain],
        tracer: CallTracer,
    ) -> None:
        self._fleet = fleet
        self._chat = chat
        self._control = control
        self._pages = pages
        self._tracer = tracer

    async def handle(self, request: Request, writer: ResponseWriter) -> None:
        """Serve one request."""
        path = request.path
        if path == "/v1/chat/completions":
            await self._completions(request, writer)
        elif path.startswith("/v1/"):
            self._models(request, writer)
        elif path.startswith("/api/"):
            await self._api(request, writer)
        elif (page := self._pages.get(path)) is not None and request.method in READ_METHODS:
            status, kind, body = await page()
            writer.send(status, {"content-type": kind}, body)
        else:
            text = f"There is no '{path}'. The model API is under /v1, the control API under /api (see /api/docs)."
            refuse(writer, None, NoAnswer(404, "not_found", text))

    async def _completions(self, request: Request, writer: ResponseWriter) -> None:
        call = RunningCall("chat.completions")
        if request.method != "POST":
            refuse(writer, call, NoAnswer(405, "method_not_allowed", "Use POST for /v1/chat/completions."))
            return
        entry = self._entry(request)
        if isinstance(entry, NoAnswer):
            refuse(writer, call, entry)
            return
        call.body["workspace_id"] = entry.workspace_id
        call.body["key_id"] = entry.key_id
        with self._tracer.tracing(call, request.headers.get("traceparent")):
            await self._chat.handle(request, writer, call, entry.workspace_id)

    def _entry(self, request: Request) -> KeyEntry | NoAnswer:
        """The caller's key, or why he is refused."""
        if self._fleet.keys is None:
            text = "This edge has just started and does not know the API keys yet; try again in a second."
            return NoAnswer(503, "starting", text, 1.0)
        key = _key(request.headers)
        if key is None:
            text = "You did not provide an API key. Send it as 'Authorization: Bearer <key>'."
            return NoAnswer(401, "missing_api_key", text)
        entry = self._fleet.authenticate(key, unix_now())
        if entry is None:
            return NoAnswer(401, "invalid_api_key", "The API key is not valid, has expired, or was revoked.")
        return entry

    def _models(self, request: Request, writer: ResponseWriter) -> None:
        entry = self._entry(request)
        if isinstance(entry, NoAnswer):
            refuse(writer, None, entry)
            return
        names = self._fleet.catalog.names()
        if request.path == "/v1/models" and request.method in READ_METHODS:
            body = {"object": "list", "data": [_model(name) for name in names]}
            writer.send(200, JSON_HEADERS, orjson.dumps(body))
            return
        name = request.path.removeprefix("/v1/models/")
        if request.path.startswith("/v1/models/") and name in names:
            writer.send(200, JSON_HEADERS, orjson.dumps(_model(name)))
            return
        if request.path.startswith("/v1/models/"):
            text = f"The model '{name}' does not exist. GET /v1/models lists what there is."
            refuse(writer, None, NoAnswer(404, "model_not_found", text))
            return
        text = f"There is no '{request.method} {request.path}'. There are POST /v1/chat/completions and GET /v1/models."
        refuse(writer, None, NoAnswer(404, "not_found", text))

    async def _api(self, request: Request, writer: ResponseWriter) -> None:
        scope: dict[str, Any] = {"fairlead.workspace_id": 0}
        if request.path not in OPEN_PATHS:
            entry = self._entry(request)
            if isinstance(entry, KeyEntry) and entry.role != "admin":
                entry = NoAnswer(
                    403, "forbidden", "This key may only call the model API; use one with the role 'admin'."
                )
            if isinstance(entry, NoAnswer):
                body = orjson.dumps({"error": {"code": entry.code, "message": entry.message}})
                writer.send(entry.status, JSON_HEADERS, body)
                return
            scope["fairlead.workspace_id"] = entry.workspace_id
        await run_asgi(self._control, request, writer, scope)


def _key(headers: Mapping[str, str]) -> str | None:
    kind, _, key = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and key.strip():
        return key.strip()
    return headers.get("x-api-key") or None


def _model(name: str) -> dict[str, Any]:
    owner = name.partition("/")[0] if "/" in name else "fairlead"
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}


def reject(status: int, reason: str) -> tuple[dict[str, str], bytes]:
    """Headers and body for a request that the server refuses before anybody sees it."""
    codes = {413: "request_too_large", 431: "headers_too_large", 500: "internal_error"}
    headers = {**JSON_HEADERS, "x-request-id": new_id()}
    return headers, error_body(status, f"{reason[:1].upper()}{reason[1:]}.", codes.get(status, "bad_request"))
