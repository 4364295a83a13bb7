"""The part of decoding a stream that all wires share: bytes to events to JSON objects, and their failures."""

from abc import ABC, abstractmethod
from typing import Any

from fairlead_common.outcomes import ErrorClass

from fairlead_models.errors import ProviderError
from fairlead_models.sse import SseEvent, SseParser, SseTooLarge
from fairlead_models.unified import ChatChunk
from fairlead_models.wires.protocol import load_object, malformed
from fairlead_models.wires.reading import SHAPE_ERRORS

DONE = b"[DONE]"
"""Some protocols send it last; it proves nothing."""


class EventDecoder(ABC):
    """Base of the decoders: a wire says what one event means in ``read``, and what the end is in ``check_end``."""

    __slots__ = ("_sse", "failure")

    def __init__(self) -> None:
        self._sse = SseParser()
        self.failure: ProviderError | None = None

    def feed(self, data: bytes) -> list[ChatChunk]:
        """See ``StreamDecoder.feed``."""
        if self.failure is not None:
            raise self.failure
        try:
            events = self._sse.feed(data)
        except SseTooLarge as error:
            raise ProviderError(ErrorClass.MALFORMED, str(error)) from error
        chunks: list[ChatChunk] = []
        for event in events:
            before = len(chunks)
            try:
                self._take(event, chunks)
            except ProviderError as error:
                self.failure = error
                del chunks[before:]
                if not chunks:
                    raise
                break
        return chunks

    def _take(self, event: SseEvent, chunks: list[ChatChunk]) -> None:
        body = event.data.strip()
        if body and body != DONE:
            found = load_object(body, "a stream event")
            try:
                self.read(event.event, found, chunks)
            except SHAPE_ERRORS as error:
                raise malformed("a stream event", error) from error

    def finish(self) -> None:
        """See ``StreamDecoder.finish``."""
        if self.failure is not None:
            raise self.failure
        self.check_end()

    @abstractmethod
    def read(self, event: str, found: dict[str, Any], chunks: list[ChatChunk]) -> None:
        """Append what one event brought to ``chunks``."""

    @abstractmethod
    def check_end(self) -> None:
        """Raise ProviderError(TRUNCATED) unless the protocol's own end was seen."""


class OpenChoices:
    """Which choices of a stream are still to come or unfinished."""

    __slots__ = ("_expected", "_finished", "_seen")

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._seen: set[int] = set()
        self._finished: set[int] = set()

    def note(self, index: int, *, finished: bool) -> None:
        """Something of this choice came."""
        self._seen.add(index)
        if finished:
            self._finished.add(index)

    @property
    def complete(self) -> bool:
        """Every choice that was asked for, and every other that began, has its finish reason."""
        return len(self._finished) >= self._expected and self._seen <= self._finished
