"""What every wire offers, and what they share: reading numbers and headers that may not be there."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import orjson
from fairlead_common.outcomes import ErrorClass

from fairlead_models.errors import ProviderError, classify_status
from fairlead_models.unified import ChatChunk, ChatRequest, ChatResponse, EncodedRequest

Headers = Mapping[str, str]
"""Header names in lower case."""


class StreamDecoder(Protocol):
    """Turns the bytes of one streamed answer into chunks."""

    def feed(self, data: bytes) -> list[ChatChunk]:
        """Chunks completed by ``data``. Raises ProviderError for an error event or bytes that make no sense."""
        ...

    def finish(self) -> None:
        """The body has ended. Raises ProviderError(TRUNCATED) unless the protocol's own end was seen."""
        ...


class Wire(Protocol):
    """One protocol; stateless."""

    name: str

    def encode(self, request: ChatRequest, model: str, *, stream: bool) -> EncodedRequest:
        """The request for ``model``, with a warning for each parameter that cannot be honoured."""
        ...

    def decode(self, headers: Headers, body: bytes) -> ChatResponse:
        """A 2xx body. Raises ProviderError(MALFORMED) when it is not what the protocol says."""
        ...

    def decode_error(self, status: int, headers: Headers, body: bytes) -> ProviderError:
        """The error of any other status; never raises."""
        ...

    def stream_decoder(self) -> StreamDecoder:
        """A fresh decoder for one stream."""
        ...

    def models_path(self) -> str:
        """Path of the list of models, which serves as the cheap probe."""
        ...

    def decode_models(self, body: bytes) -> list[str]:
        """Ids of the models in the list."""
        ...


def load_object(body: bytes, what: str) -> dict[str, Any]:
    """``body`` as a JSON object.

    Raises:
        ProviderError: MALFORMED, when it is anything else.
    """
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ProviderError(ErrorClass.MALFORMED, f"{what} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ProviderError(ErrorClass.MALFORMED, f"{what} is not a JSON object but {type(found).__name__}")
    return found


def malformed(what: str, error: Exception) -> ProviderError:
    """The answer is JSON, but not of the shape that the protocol promises."""
    return ProviderError(
        ErrorClass.MALFORMED, f"{what} lacks what the protocol promises: {type(error).__name__}: {error}"
    )


def as_int(value: object) -> int | None:
    """A whole number, or None for anything else; some vendors send 12.0."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return None


def retry_after_s(headers: Headers, now_unix_s: float | None = None) -> float | None:
    """``retry-after-ms`` or ``retry-after`` (seconds, or an HTTP date when ``now_unix_s`` is given), at least 0."""
    for name, factor in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            return max(0.0, float(value) * factor)
        except ValueError:
            if now_unix_s is not None:
                return _until_date(value, now_unix_s)
    return None


def _until_date(value: str, now_unix_s: float) -> float | None:
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now_unix_s)
    except ValueError:
        return None


def error_of(
    status: int,
    headers: Headers,
    message: object,
    *,
    code: object = None,
    param: object = None,
    request_id: str | None = None,
    retry_s: float | None = None,
) -> ProviderError:
    """A ProviderError from the parts that every vendor's error has in some form."""
    text = message if isinstance(message, str) and message else f"HTTP status {status}"
    machine = code if isinstance(code, str) else None
    return ProviderError(
        classify_status(status, machine),
        text,
        status=status,
        retry_after_s=retry_s if retry_s is not None else retry_after_s(headers),
        code=machine,
        param=param if isinstance(param, str) else None,
        provider_request_id=request_id,
    )


def load_error(body: bytes) -> dict[str, Any]:
    """The JSON object of an error body, or an empty one: an error page in HTML must not become an error of ours."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if isinstance(found, list) and found:
        found = found[0]
    return found if isinstance(found, dict) else {}


def truncated(seen: str) -> ProviderError:
    """The stream ended before its protocol's end."""
    return ProviderError(ErrorClass.TRUNCATED, f"the stream ended early: {seen}")
