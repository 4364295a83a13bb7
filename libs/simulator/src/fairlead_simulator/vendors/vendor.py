"""What the simulator needs to know of a vendor's wire, and the little that several vendors share."""

import json
from dataclasses import dataclass
from typing import Any, Protocol

from fairlead_simulator.answers import Answer, Ask
from fairlead_simulator.server import Request

JSON = {"content-type": "application/json"}
SSE = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}


class BadRequest(Exception):
    """The vendor would refuse this request with 400."""


class NotFound(Exception):
    """The vendor has no such path."""


@dataclass
class Frames:
    """A stream: what comes before the first token, the tokens, and the regular end."""

    begin: list[bytes]
    tokens: list[bytes]
    end: list[bytes]


@dataclass
class Failure:
    """An error answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class Vendor(Protocol):
    """One vendor's wire."""

    name: str
    models: tuple[str, ...]

    def key(self, request: Request) -> str | None:
        """The API key the request carries, or None."""
        ...

    def read(self, request: Request) -> Ask | None:
        """The chat request, or None for the list of models. Raises BadRequest, NotFound."""
        ...

    def whole(self, ask: Ask, answer: Answer) -> bytes:
        """The body of an answer that is not streamed."""
        ...

    def frames(self, ask: Ask, answer: Answer) -> Frames:
        """The events of a streamed answer."""
        ...

    def listing(self) -> bytes:
        """The list of models."""
        ...

    def failure(self, kind: str, message: str, retry_after_s: float | None) -> Failure:
        """The error answer for a fault, ``bad_request`` or ``not_found``."""
        ...

    def stream_error(self) -> bytes:
        """An error inside a stream."""
        ...

    def headers(self, answer_id: str) -> dict[str, str]:
        """Headers of a good answer: request id, rate limits."""
        ...


def dumps(body: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def data(body: Any) -> bytes:
    """A server-sent event without a name."""
    return b"data: " + dumps(body) + b"\n\n"


def event(name: str, body: Any) -> bytes:
    """A server-sent event with a name."""
    return f"event: {name}\n".encode() + data(body)


def load(request: Request) -> dict[str, Any]:
    """The JSON object of the body. Raises BadRequest."""
    try:
        found = json.loads(request.body)
    except ValueError as error:
        raise BadRequest("We could not parse the JSON body of your request.") from error
    if not isinstance(found, dict):
        raise BadRequest("The body must be a JSON object.")
    return found


def bearer(request: Request) -> str | None:
    """The key of an Authorization header."""
    kind, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() or None if kind.lower() == "bearer" else None


def require(found: dict[str, Any], *names: str) -> None:
    """Raise BadRequest when a field is missing."""
    for name in names:
        if not found.get(name):
            raise BadRequest(f"Missing required parameter: '{name}'.")


def text_of(content: Any) -> str:
    """All text of a message's content, with a stable mark for each image."""
    if isinstance(content, str):
        return content
    found = [part.get("text") or _image_mark(part) for part in content or () if isinstance(part, dict)]
    return "\n".join(found)


def _image_mark(part: dict[str, Any]) -> str:
    return f"<image:{len(json.dumps(part))}>" if "image" in str(part.get("type")) else ""


STATUS = {
    "auth": 401,
    "error_500": 500,
    "rate_limited": 429,
    "quota_exhausted": 429,
    "overloaded": 503,
    "bad_request": 400,
    "not_found": 404,
}


def retry_headers(retry_after_s: float | None) -> dict[str, str]:
    """``Retry-After`` in whole seconds, at least 1, when there is one."""
    return {} if retry_after_s is None else {"retry-after": str(max(1, round(retry_after_s)))}
