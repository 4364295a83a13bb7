"""Builds the control API: its routes, and the one place where errors become HTTP answers."""

import logging
from typing import Any

from fairlead_common.bus.redelivery import is_away
from fairlead_common.bus.rpc import RpcError, RpcUnavailable
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from fairlead_edge.control import abtest, access, compare, failover, health, models, routing

logger = logging.getLogger(__name__)

ROUTERS = (health, failover, compare, abtest, models, routing, access)


def build() -> FastAPI:
    """The application; its ``state`` is filled by the composition root."""
    app = FastAPI(
        title="Fairlead control API",
        version="1",
        description="Health, failover, comparison, A/B tests, models and routing of LLM providers.",
        docs_url="/api/docs",
        openapi_url="/api/openapi.json",
        redoc_url=None,
    )
    for module in ROUTERS:
        app.include_router(module.router)
    app.add_exception_handler(RpcError, _rpc_error)
    app.add_exception_handler(RpcUnavailable, _rpc_unavailable)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
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
    codes = {401: "unauthorized", 403: "forbidden", 404: "not_found", 409: "conflict", 422: "invalid_request"}
    return error_answer(error.status_code, codes.get(error.status_code, "error"), str(error.detail))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    problems: list[Any] = list(error.errors()) if isinstance(error, RequestValidationError) else []
    text = "; ".join(f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in problems)
    return error_answer(422, "invalid_request", text or str(error))


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    if is_away(error):
        text = "the database does not answer; nothing was changed; try again in a few seconds"
        return error_answer(503, "database_unavailable", text, {"retry-after": "2"})
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return error_answer(500, "internal_error", "the edge failed on this request; its log says why")
