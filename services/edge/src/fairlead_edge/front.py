"""Where every request of the edge arrives: model API, control API, liveness. Keys are checked here, once for all."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from fairlead_common.access import KeyEntry
from fairlead_common.ids import new_id
from fairlead_models.errors import InvalidRequest
from fairlead_models.inbound import openai_chat
from fairlead_models.inbound.formats import FORMATS

from fairlead_edge.control.docs import OPEN_PATHS
from fairlead_edge.dataplane.answers import JSON_HEADERS, NoAnswer, error_of, refuse, wrong_method
from fairlead_edge.dataplane.calls import RunningCall
from fairlead_edge.dataplane.chat import Chats
from fairlead_edge.dataplane.embeddings import Embeddings
from fairlead_edge.fleet import Fleet, unix_now
from fairlead_edge.http.asgi import AsgiApp, run_asgi
from fairlead_edge.http.messages import Request, ResponseWriter
from fairlead_edge.listing import count_tokens, listing
from fairlead_edge.tracing import CallTracer

logger = logging.getLogger(__name__)

READ_METHODS = ("GET", "HEAD")

EMBEDDINGS = "/v1/embeddings"
COUNT_TOKENS = "/v1/messages/count_tokens"
MESSAGES = FORMATS["/v1/messages"]

Plain = Callable[[], Awaitable[tuple[int, str, bytes]]]
"""An unauthenticated page: status, content type, body."""


@dataclass(frozen=True, slots=True)
class Handlers:
    """Who answers calls of the model API."""

    chats: Chats
    embeddings: Embeddings


class Front:
    """The server's handler."""

    def __init__(
        self,
        fleet: Fleet,
        handlers: Handlers,
        control: AsgiApp,
        pages: Mapping[str, Plain],
        tracer: CallTracer,
    ) -> None:
        self._fleet = fleet
        self._handlers = handlers
        self._control = control
        self._pages = pages
        self._tracer = tracer

    async def handle(self, request: Request, writer: ResponseWriter) -> None:
        """Serve one request."""
        path = request.path
        if (format_ := FORMATS.get(path)) is not None:
            await self._call(RunningCall(format_.api, format_), self._handlers.chats, request, writer)
        elif path == EMBEDDINGS:
            await self._call(RunningCall("embeddings"), self._handlers.embeddings, request, writer)
        elif path.startswith("/v1/") or path == "/v1":
            self._plain(request, writer)
        elif path.startswith("/api/"):
            await self._api(request, writer)
        elif (page := self._pages.get(path)) is None:
            text = f"There is no '{path}'. The model API is under /v1, the control API under /api (see /api/docs)."
            refuse(writer, None, NoAnswer(404, "not_found", text))
        elif request.method not in READ_METHODS:
            refuse(writer, None, wrong_method(request, "GET"))
        else:
            status, kind, body = await page()
            writer.send(status, {"content-type": kind}, body)

    async def _call(
        self, call: RunningCall, handler: Chats | Embeddings, request: Request, writer: ResponseWriter
    ) -> None:
        if request.method != "POST":
            refuse(writer, call, wrong_method(request, "POST"))
            return
        entry = self._entry(request)
        if isinstance(entry, NoAnswer):
            refuse(writer, call, entry)
            return
        call.body["workspace_id"] = entry.workspace_id
        call.body["key_id"] = entry.key_id
        with self._tracer.tracing(call, request.headers.get("traceparent")):
            await handler.handle(request, writer, call, entry.workspace_id)

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

    def _plain(self, request: Request, writer: ResponseWriter) -> None:
        """What the edge answers by itself: the list of models, and the count of tokens."""
        counting = request.path == COUNT_TOKENS
        try:
            entry = self._entry(request)
            if isinstance(entry, NoAnswer):
                raise entry
            catalog = self._fleet.catalog(entry.workspace_id)
            found = count_tokens(request) if counting else listing(catalog, request)
        except InvalidRequest as error:
            refuse(writer, RunningCall("count_tokens", MESSAGES) if counting else None, error_of(error))
        except NoAnswer as error:
            refuse(writer, RunningCall("count_tokens", MESSAGES) if counting else None, error)
        else:
            writer.send(200, JSON_HEADERS, orjson.dumps(found))

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


def reject(status: int, reason: str, path: str) -> tuple[dict[str, str], bytes]:
    """Headers and body for a request that the server refuses before anybody sees it."""
    codes = {
        408: "request_timeout",
        413: "request_too_large",
        431: "headers_too_large",
        500: "internal_error",
    }
    headers = {**JSON_HEADERS, "x-request-id": new_id()}
    text = f"{reason[:1].upper()}{reason[1:]}."
    format_ = FORMATS.get(path, openai_chat.FORMAT)
    return headers, format_.render_error(status, text, code=codes.get(status, "bad_request"))
