"""Providers in the test's own process, for answers that no simulator gives."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fairlead_edge.http.messages import Request, ResponseWriter
from fairlead_edge.http.server import serve
from fairlead_models.providers import ProviderSpec
from fairlead_models.transport.protocol import Timeouts

PATIENT = Timeouts(connect_s=10, first_byte_s=30, between_bytes_s=30, total_s=60)

Handler = Callable[[Request, ResponseWriter], Awaitable[None]]


@asynccontextmanager
async def upstream(handler: Handler, name: str = "openai") -> AsyncIterator[ProviderSpec]:
    """A provider that speaks OpenAI's wire and answers as ``handler`` does."""

    def reject(status: int, reason: str, path: str) -> tuple[dict[str, str], bytes]:
        return {}, reason.encode()

    server = await serve(handler, "127.0.0.1", 0, reject=reject)
    try:
        yield ProviderSpec(name, "openai", f"http://127.0.0.1:{server.port}", "sk-test", timeouts=PATIENT)
    finally:
        await server.drain(0)
