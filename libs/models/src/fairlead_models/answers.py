"""What a provider's client gives: whole answers and open streams, every failure as a ProviderError with its class."""

from dataclasses import dataclass
from typing import NamedTuple

from fairlead_common.outcomes import ErrorClass

from fairlead_models.drift import DRIFT
from fairlead_models.errors import ProviderError
from fairlead_models.rate_limits import UNKNOWN, RateLimits
from fairlead_models.transport.protocol import (
    BadResponse,
    ConnectFailed,
    ConnectionBroken,
    ConnectTimeout,
    FirstByteTimeout,
    HttpResponse,
    Phases,
    ResponseTooLarge,
    StallTimeout,
    TotalTimeout,
    TransportError,
)
from fairlead_models.unified import ChatChunk, ChatResponse, EmbeddingResponse, Unhonoured
from fairlead_models.wires.protocol import StreamDecoder

_CLASSES: dict[type[TransportError], ErrorClass] = {
    ConnectFailed: ErrorClass.CONNECT,
    ConnectTimeout: ErrorClass.TIMEOUT_CONNECT,
    FirstByteTimeout: ErrorClass.TIMEOUT_FIRST_TOKEN,
    StallTimeout: ErrorClass.TIMEOUT_BETWEEN_TOKENS,
    TotalTimeout: ErrorClass.TIMEOUT_TOTAL,
    ResponseTooLarge: ErrorClass.MALFORMED,
    BadResponse: ErrorClass.MALFORMED,
}


@dataclass(slots=True)
class Answer:
    """A complete answer, with what is worth recording about how it came."""

    response: ChatResponse
    status: int
    phases: Phases
    warnings: tuple[Unhonoured, ...] = ()
    rate_limits: RateLimits = UNKNOWN
    """What the provider said of its limits."""


@dataclass(slots=True)
class EmbeddingAnswer:
    """A complete answer with vectors; see ``Answer``."""

    response: EmbeddingResponse
    status: int
    phases: Phases
    warnings: tuple[Unhonoured, ...] = ()
    rate_limits: RateLimits = UNKNOWN


class ModelsAnswer(NamedTuple):
    """What a provider offers, and how the answer came."""

    models: list[str]
    phases: Phases


@dataclass(slots=True)
class ChunkStream:
    """An open stream; iterate ``next()`` until it returns an empty list."""

    _http: HttpResponse
    _decoder: StreamDecoder
    _provider: str
    _model: str
    status: int
    phases: Phases
    provider_request_id: str | None = None
    warnings: tuple[Unhonoured, ...] = ()
    rate_limits: RateLimits = UNKNOWN

    async def next(self, by: float | None = None) -> list[ChatChunk]:
        """The next chunks; empty = the stream has ended as its protocol demands.

        Args:
            by: time of the event loop's clock by which they must be there.

        Raises:
            ProviderError: it broke, stalled, sent an error, or ended early (TRUNCATED).
        """
        try:
            while self._decoder.failure is None and (data := await self._http.chunk(by)):
                with DRIFT.of(self._provider):
                    chunks = self._decoder.feed(data)
                if chunks:
                    return chunks
            self._decoder.finish()
        except TransportError as error:
            if not self._complete():
                raise transport_failure(error, self._provider, self._model, in_stream=True) from error
        except ProviderError as error:
            error.provider, error.model = self._provider, self._model
            raise
        return []

    @property
    def failure(self) -> ProviderError | None:
        """What the next ``next()`` will raise, when that is known already: it came with the chunks before it."""
        return self._decoder.failure

    def _complete(self) -> bool:
        """What the protocol demands was all seen: how the connection ends after that is of no interest."""
        try:
            self._decoder.finish()
        except ProviderError:
            return False
        return True

    def close(self) -> None:
        """Let go of the connection; closes it when the stream has not ended."""
        self._http.close()


def transport_failure(error: TransportError, provider: str, model: str, *, in_stream: bool) -> ProviderError:
    """The ProviderError of a transport failure; a connection lost inside an answer is a truncation."""
    found = _CLASSES.get(type(error))
    if found is None:
        lost = in_stream and isinstance(error, ConnectionBroken)
        found = ErrorClass.TRUNCATED if lost else ErrorClass.CONNECT
    return ProviderError(found, str(error), provider=provider, model=model, phases=error.phases)
