"""Builds the control API: its routes, and the one place where errors become HTTP answers."""

import logging
from http import HTTPStatus

import asyncpg
from fairlead_common.bus.redelivery import AWAY, is_away
from fairlead_common.bus.rpc import RpcError, RpcUnavailable
from fastapi import FastAPI, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException

from fairlead_edge.control import (
    abtest,
    access,
    alerts,
    budget,
    compare,
    docs,
    drills,
    failover,
    health,
    live,
    mappings,
    models,
    predictor,
    quality,
    replay,
    routing,
)
from fairlead_edge.control.problems import described

logger = logging.getLogger(__name__)

CODES = {
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    422: "invalid_request",
}
KEY = HTTPBearer(
    scheme_name="api_key",
    description="A key with the role admin. `fairlead up` keeps one in the file `api-key` of its data folder.",
    auto_error=False,
)
"""For the documentation; the front has checked the key before a request comes here."""
ROUTERS = (
    alerts,
    live,
    health,
    failover,
    drills,
    compare,
    abtest,
    models,
    mappings,
    routing,
    replay,
    quality,
    predictor,
    access,
    budget,
)


def build() -> FastAPI:
    """The application; its ``state`` is filled by the composition root."""
    app = FastAPI(
        title="Fairlead control API",
        version="1",
        description="Health, failover, comparison, A/B tests, models and routing of LLM providers.",
        openapi_url=None,
    )
    app.state.live = live.LiveStreams()
    docs.serve(app)
    for module in ROUTERS:
        app.include_router(module.router, dependencies=[Security(KEY)])
    app.add_exception_handler(RpcError, _rpc_error)
    app.add_exception_handler(RpcUnavailable, _rpc_unavailable)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    for away in AWAY:
        app.add_exception_handler(away, _away)
    app.add_exception_handler(DBAPIError, _database_error)
    app.add_exception_handler(Exception, _unexpected)
    return app


def error_answer(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """The control API's error shape."""
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=status, headers=headers)


async def _rpc_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RpcError):
        raise error
    return error_answer(error.status, error.code, error.message)


async def _rpc_unavailable(request: Request, error: Exception) -> JSONResponse:
    return error_answer(503, "service_unavailable", str(error), {"retry-after": "2"})


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    code = CODES.get(error.status_code, "error")
    text = str(error.detail)
    if error.status_code in (404, 405) and text == HTTPStatus(error.status_code).phrase:
        text = f"there is no {request.method} {request.url.path}; /api/docs lists what there is"
    return error_answer(error.status_code, code, text, dict(error.headers or {}))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    field = request.scope["route"].body_field
    body = None if field is None else field.field_info.annotation
    return error_answer(422, "invalid_request", described(error.errors(), body))


async def _away(request: Request, error: Exception) -> JSONResponse:
    logger.warning("%s %s: %s: %s", request.method, request.url.path, type(error).__name__, error)
    text = "the database does not answer; nothing was changed; try again in a few seconds"
    return error_answer(503, "database_unavailable", text, {"retry-after": "2"})


async def _database_error(request: Request, error: Exception) -> JSONResponse:
    """The database may be away, or refuse a value: a number beyond its type, a NUL character."""
    if is_away(error):
        return await _away(request, error)
    refused = error.orig.__cause__ if isinstance(error, DBAPIError) and error.orig is not None else None
    if isinstance(refused, asyncpg.DataError):
        return error_answer(422, "invalid_request", f"a value cannot be stored: {refused}")
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return await _unexpected(request, error)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    """The server logs what comes here: the framework raises it again once this is sent."""
    return error_answer(500, "internal_error", "the edge failed on this request; its log says why")
