"""What every wire offers, and the few things all of them share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from fairlead_common.outcomes import ErrorClass

from fairlead_models.errors import ProviderError
from fairlead_models.failures import failed_finish
from fairlead_models.unified import (
    ChatChunk,
    ChatRequest,
    ChatResponse,
    Choice,
    EmbeddingRequest,
    EmbeddingResponse,
    FinishReason,
    Unhonoured,
)

Headers = Mapping[str, str]
"""Header names in lower case."""


@dataclass(slots=True)
class EncodedRequest:
    """A request as it goes to a provider, without authentication and base URL, which belong to the provider's row."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    warnings: tuple[Unhonoured, ...] = ()
    wire: "Wire | None" = None
    """Who reads the answer, when that is another wire than the one that encoded (OpenAI has two APIs)."""


class StreamDecoder(Protocol):
    """Turns the bytes of one streamed answer into chunks."""

    failure: ProviderError | None
    """What has broken the stream, once it is known; what came before it is given out first."""

    def feed(self, data: bytes) -> list[ChatChunk]:
        """Chunks completed by ``data``, those before a failure included.

        Raises:
            ProviderError: an error event, or bytes that make no sense, with no chunk before them in ``data``.
        """
        ...

    def finish(self) -> None:
        """The body has ended. Raises ``failure``, or ProviderError(TRUNCATED) unless the protocol's own end was seen."""
        ...


class Wire(Protocol):
    """One protocol, as one provider speaks it; stateless."""

    name: str
    most_inputs: int | None
    """How many inputs one embeddings request takes; None = as many as a caller may send."""

    def encode(self, request: ChatRequest, model: str, *, stream: bool) -> EncodedRequest:
        """The request for ``model``, with a warning for each parameter that cannot be honoured.

        Raises:
            ProviderError: UNSUPPORTED, when leaving something out would change what was asked.
        """
        ...

    def decode(self, headers: Headers, body: bytes) -> ChatResponse:
        """A 2xx body. Raises ProviderError(MALFORMED) when it is not what the protocol says."""
        ...

    def decode_error(self, status: int, headers: Headers, body: bytes) -> ProviderError:
        """The error of any other status; never raises."""
        ...

    def stream_decoder(self, choices: int = 1) -> StreamDecoder:
        """A fresh decoder for one stream of so many choices."""
        ...

    def encode_embeddings(self, request: EmbeddingRequest, model: str) -> EncodedRequest:
        """The request for ``model``. Raises ProviderError(UNSUPPORTED) where the wire has no embeddings."""
        ...

    def decode_embeddings(self, headers: Headers, body: bytes, count: int) -> EmbeddingResponse:
        """A 2xx body with ``count`` vectors. Raises ProviderError(MALFORMED)."""
        ...

    def models_path(self) -> str:
        """Path of the list of models, which serves as the cheap probe."""
        ...

    def decode_models(self, body: bytes) -> list[str]:
        """Ids of the models in the list. Raises ProviderError(MALFORMED)."""
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


def load_error(body: bytes) -> dict[str, Any]:
    """The JSON object of an error body, or an empty one: an error page in HTML must not become an error of ours."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if isinstance(found, list) and found:
        found = found[0]
    return found if isinstance(found, dict) else {}


def dump(body: dict[str, Any]) -> bytes:
    """``body`` as JSON.

    Raises:
        ProviderError: BAD_REQUEST, when the caller nested it deeper than JSON libraries go.
    """
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError as error:
        raise ProviderError(
            ErrorClass.BAD_REQUEST, f"the request cannot be written as JSON: {error}"
        ) from error


def malformed(what: str, error: Exception) -> ProviderError:
    """The answer is JSON, but not of the shape that the protocol promises."""
    return ProviderError(
        ErrorClass.MALFORMED, f"{what} lacks what the protocol promises: {type(error).__name__}: {error}"
    )


def truncated(seen: str) -> ProviderError:
    """The stream ended before its protocol's end."""
    return ProviderError(ErrorClass.TRUNCATED, f"the stream ended early: {seen}")


def unsupported(what: str, param: str) -> ProviderError:
    """This target cannot do what was asked, and leaving it out would change the meaning; another target may."""
    return ProviderError(ErrorClass.UNSUPPORTED, what, param=param, code="unsupported_content")


def model_ids(body: bytes, rows: str, field: str) -> list[str]:
    """The ids in a list of models: ``field`` of each entry of ``rows``. Raises ProviderError(MALFORMED)."""
    data = load_object(body, "the list of models").get(rows)
    if not isinstance(data, list):
        raise ProviderError(ErrorClass.MALFORMED, f"the list of models has no list '{rows}'")
    return [each[field] for each in data if isinstance(each, dict) and isinstance(each.get(field), str)]


def finished(choices: list[Choice]) -> None:
    """Refuse an answer without choices, with an unfinished one, or with one that says it failed.

    Raises:
        ProviderError: MALFORMED or SERVER_ERROR.
    """
    if not choices:
        raise ProviderError(ErrorClass.MALFORMED, "the answer has no choices")
    for choice in choices:
        if choice.finish_reason is None:
            raise ProviderError(ErrorClass.MALFORMED, "the answer has no finish reason")
        if choice.finish_reason is FinishReason.ERROR:
            raise failed_finish(choice.vendor_finish, in_stream=False)
