"""``/livez``, ``/readyz`` and ``/metrics`` of a process.

Live = the event loop answers. Ready = the bus makes a round trip, JetStream answers, the database answers ``select 1``.
A provider is never part of it: a provider that is down must not take our own processes out.
"""

import asyncio
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from nats.aio.client import Client
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

Check = Callable[[], Awaitable[None]]
CHECK_TIMEOUT_S = 2.0


async def check_bus(client: Client) -> None:
    """A flush round trip and JetStream's account information.

    Raises:
        Exception: the bus or JetStream does not answer.
    """
    if not client.is_connected:
        raise ConnectionError("not connected to NATS")
    await client.flush(timeout=2)
    await client.jetstream(timeout=2).account_info()


async def run_checks(checks: dict[str, Check]) -> dict[str, str]:
    """Name to ``ok`` or to what is wrong; all at once, each within 2 s. A starting service may add more meanwhile."""
    names = tuple(checks)
    results = await asyncio.gather(*(_run(checks[name]) for name in names))
    return dict(zip(names, results, strict=True))


async def _run(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await check()
    except Exception as error:  # noqa: BLE001 - boundary: every failure means "not ready", with its name
        return f"{type(error).__name__}: {error}".rstrip(": ")[:200]
    return "ok"


def mount_readiness(app: FastAPI, checks: dict[str, Check], registry: CollectorRegistry) -> None:
    """Add the three routes to ``app``. ``checks`` may still be filled after this call."""

    @app.get("/livez", include_in_schema=False)
    async def livez() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> JSONResponse:
        found = await run_checks(checks)
        ready = bool(found) and all(text == "ok" for text in found.values())
        return JSONResponse({"ready": ready, "checks": found}, status_code=200 if ready else 503)

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
