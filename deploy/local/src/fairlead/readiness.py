"""Asking a process whether it serves: over HTTP, or over its own protocol where it speaks no HTTP."""

from fairlead.embedded import postgres
from fairlead.local_http import request
from fairlead.plan import Kind

REASON_LENGTH = 160


async def not_ready(kind: Kind, url: str | None, ready_path: str, postgres_dsn: str) -> str | None:
    """None when it serves; otherwise what is missing. A process without a URL serves as soon as it runs."""
    if kind is Kind.POSTGRES:
        return await postgres.not_ready(postgres_dsn)
    if url is None:
        return None
    try:
        answer = await request("GET", url + ready_path)
    except (OSError, TimeoutError) as error:
        return f"{url} does not answer ({type(error).__name__})"
    if answer.status == 200:
        return None
    return f"{ready_path} says {answer.status}: {answer.body.decode('utf-8', 'replace')[:REASON_LENGTH]}"
