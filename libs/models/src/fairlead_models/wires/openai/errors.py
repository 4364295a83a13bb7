"""Errors of OpenAI and compatible endpoints, in every shape these use."""

from typing import Any

from fairlead_models.errors import ProviderError
from fairlead_models.failures import http_failure, stream_failure
from fairlead_models.wires.openai.decode import request_id_of
from fairlead_models.wires.protocol import Headers, load_error
from fairlead_models.wires.reading import as_int


def detail_of(found: dict[str, Any]) -> dict[str, Any]:
    """The object that tells: ``error`` where it is one, else the body, with a bare string as its message."""
    error = found.get("error")
    if isinstance(error, dict):
        return error
    if isinstance(error, str):
        return {**found, "message": error}
    detail = found.get("detail")
    if isinstance(detail, str):
        return {**found, "message": detail}
    return found


def codes_of(detail: dict[str, Any]) -> tuple[object, ...]:
    """Machine-readable words, the most specific first."""
    return (detail.get("code"), detail.get("type"))


def http_error(status: int, headers: Headers, body: bytes) -> ProviderError:
    """The error of an answer whose status says that it is one; never raises."""
    detail = detail_of(load_error(body))
    return http_failure(
        status,
        headers,
        detail.get("message"),
        codes_of(detail),
        param=detail.get("param"),
        request_id=request_id_of(headers),
    )


def error_in_200(found: dict[str, Any]) -> ProviderError:
    """An error that came with status 200: inside a stream, or as a whole answer."""
    detail = detail_of(found)
    status = as_int(detail.get("code")) or as_int(detail.get("status"))
    return stream_failure(detail.get("message"), codes_of(detail), status=status)


def is_error(found: dict[str, Any]) -> bool:
    """The object is an error and no answer."""
    return (found.get("error") is not None and not found.get("choices")) or found.get("object") == "error"
