"""Where every request of the edge arrives: model API, control API, liveness. Keys are checked here, once for all."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from fairlead_common.access import KeyEntry
from fairlead_common.ids import new_id
from fairlead_models.errors import UnknownModel

from fairlead_edge.dataplane.answers import JSON_HEADERS, NoAnswer, error_body, error_of, refuse
from fairlead_edge.dataplane.calls import RunningCall
from fairlead_edge.dataplane.chat import ChatCompletions
from fairlead_edge.fleet import Fleet, unix_now
from fairlead_edge.http.asgi import AsgiApp, run_asgi
from fairlead_edge.http.messages import Request, ResponseWriter
from fairlead_edge.tracing import CallTracer

logger = logging.getLogger(__name__)

OPEN_PATHS = ("/api/docs", "/api/openapi.json")
READ_METHODS = ("GET", "HEAD")

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
        elif path.startswith("/v1/") or path == "/v1":
            self._models(request, writer)
        elif path.startswith("/api/"):
            await self._api(request, writer)
        elif (page := self._pages.get(path)) is None:
            text = f"There is no '{path}'. The model API is under /v1, the control API under /api (see /api/docs)."
            refuse(writer, None, NoAnswer(404, "not_found", text))
        elif request.method not in READ_METHODS:
            refuse(writer, None, _wrong_method(request, "GET"))
        else:
            status, kind, body = await page()
            writer.send(status, {"content-type": kind}, body)

    async def _completions(self, request: Request, writer: ResponseWriter) -> None:
        call = RunningCall("chat.completions")
        if request.method != "POST":
            refuse(writer, call, _wrong_method(request, "POST"))
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
        found = entry if isinstance(entry, NoAnswer) else self._listing(request)
        if isinstance(found, NoAnswer):
            refuse(writer, None, found)
        else:
            writer.send(200, JSON_HEADERS, orjson.dumps(found))

    def _listing(self, request: Request) -> dict[str, Any] | NoAnswer:
        """``/v1/models`` and ``/v1/models/<name>``."""
        collection, slash, name = request.path.partition("/v1/models")[2].partition("/")
        if not request.path.startswith("/v1/models") or collection:
            text = f"There is no '{request.path}'. There are /v1/chat/completions and /v1/models."
            return NoAnswer(404, "not_found", text)
        if request.method not in READ_METHODS:
            return _wrong_method(request, "GET")
        catalog = self._fleet.catalog
        if not slash or not name:
            return {"object": "list", "data": [_model(each) for each in catalog.names()]}
        try:
            targets = catalog.resolve(name)
        except UnknownModel as error:
            return error_of(error)
        if not any(target in catalog.entries for target in targets):
            return error_of(UnknownModel(name))
        return _model(name)

    async def _api(self, request: Request, writer: ResponseWriter) -> None:
        scope: dict[str, Any] = {"fairlead.workspace_id": 0, "fairlead.key_id": ""}
        if request.path not in OPEN_PATHS:
            entry = self._entry(request)
            if isinstance(entry, KeyEntry) and entry.role != "admin":
                text = "This key may only call the model API; use one with the role 'admin'."
                entry = NoAnswer(403, "forbidden", text)
            if isinstance(entry, NoAnswer):
                body = orjson.dumps({"error": {"code": entry.code, "message": entry.message}})
                writer.send(entry.status, {**JSON_HEADERS, **entry.headers()}, body)
                return
            scope = {"fairlead.workspace_id": entry.workspace_id, "fairlead.key_id": entry.key_id}
        await run_asgi(self._control, request, writer, scope)


def _key(headers: Mapping[str, str]) -> str | None:
    kind, _, key = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and key.strip():
        return key.strip()
    return headers.get("x-api-key") or None


def _wrong_method(request: Request, right: str) -> NoAnswer:
    text = f"{request.path} does not answer {request.method}; use {right}."
    return NoAnswer(405, "method_not_allowed", text, allow=right)


def _model(name: str) -> dict[str, Any]:
    owner = name.partition("/")[0] if "/" in name else "fairlead"
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}


def reject(status: int, reason: str) -> tuple[dict[str, str], bytes]:
    """Headers and body for a request that the server refuses before anybody sees it."""
    codes = {
        408: "request_timeout",
        413: "request_too_large",
        431: "headers_too_large",
        500: "internal_error",
    }
    headers = {**JSON_HEADERS, "x-request-id": new_id()}
    return headers, error_body(status, f"{reason[:1].upper()}{reason[1:]}.", codes.get(status, "bad_request"))
