"""Calling one provider: wire and transport together, every failure as a ProviderError with its class."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from fairlead_common.outcomes import ErrorClass

from fairlead_models.answers import Answer, ChunkStream, EmbeddingAnswer, ModelsAnswer, transport_failure
from fairlead_models.batches import joined, split
from fairlead_models.drift import DRIFT
from fairlead_models.errors import ProviderError
from fairlead_models.policy import settle
from fairlead_models.providers import ProviderSpec
from fairlead_models.rate_limits import rate_limits
from fairlead_models.transport.protocol import (
    HttpRequest,
    HttpResponse,
    Timeouts,
    Transport,
    TransportError,
)
from fairlead_models.unified import ChatRequest, EmbeddingRequest, EmbeddingResponse
from fairlead_models.wires.protocol import EncodedRequest, Wire

USER_AGENT = "fairlead/0.1"


class ProviderClient:
    """One provider, any of its models."""

    def __init__(self, spec: ProviderSpec, transport: Transport) -> None:
        self.spec = spec
        self.wire: Wire = spec.protocol()
        self._transport = transport
        self._headers = {
            "content-type": "application/json",
            "accept": "application/json",
            "accept-encoding": "identity",
            "user-agent": USER_AGENT,
            **spec.headers,
            **spec.auth_headers(),
        }

    async def chat(
        self,
        request: ChatRequest,
        model: str,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One complete answer. Raises ProviderError."""
        encoded = self._encode(request, model, stream=False)
        http = await self._send(encoded, model, timeouts, headers)
        try:
            body = await http.body()
            with DRIFT.of(self.spec.name):
                response = (encoded.wire or self.wire).decode(http.headers, body)
        except TransportError as error:
            raise transport_failure(error, self.spec.name, model, in_stream=True) from error
        except ProviderError as error:
            error.provider, error.model = self.spec.name, model
            error.status = error.status or http.status
            raise
        finally:
            http.close()
        limits = rate_limits(http.headers, time.time())
        return Answer(response, http.status, http.phases, encoded.warnings, limits)

    async def embed(
        self,
        request: EmbeddingRequest,
        model: str,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
        parts: list[EmbeddingResponse] | None = None,
    ) -> EmbeddingAnswer:
        """The vectors of all inputs, in as many requests as the provider's limit demands, one after the other.

        Args:
            parts: gets the answer of each request as it comes, for who has to pay for them when a later one fails.

        Raises:
            ProviderError: one of them failed.
        """
        loop, bounds = asyncio.get_running_loop(), timeouts or self.spec.timeouts
        until = loop.time() + bounds.total_s
        answers: list[EmbeddingAnswer] = []
        for part in split(request, self.wire.most_inputs):
            left = bounds if not answers else replace(bounds, total_s=max(0.001, until - loop.time()))
            answers.append(await self._embed(part, model, left, headers))
            if parts is not None:
                parts.append(answers[-1].response)
        response = joined([each.response for each in answers])
        return replace(answers[-1], response=response, phases=answers[0].phases)

    async def _embed(
        self,
        request: EmbeddingRequest,
        model: str,
        timeouts: Timeouts,
        headers: Mapping[str, str] | None,
    ) -> EmbeddingAnswer:
        try:
            encoded = self.wire.encode_embeddings(request, model)
            encoded.warnings = settle(encoded.warnings, request.unsupported)
            http = await self._send(encoded, model, timeouts, headers)
            try:
                body = await http.body()
                with DRIFT.of(self.spec.name):
                    response = self.wire.decode_embeddings(http.headers, body, len(request.inputs))
            except TransportError as error:
                raise transport_failure(error, self.spec.name, model, in_stream=True) from error
            finally:
                http.close()
        except ProviderError as error:
            error.provider, error.model = self.spec.name, model
            raise
        limits = rate_limits(http.headers, time.time())
        return EmbeddingAnswer(response, http.status, http.phases, encoded.warnings, limits)

    async def open_stream(
        self,
        request: ChatRequest,
        model: str,
        timeouts: Timeouts | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> ChunkStream:
        """A stream whose head has arrived; the caller must close it. Raises ProviderError."""
        encoded = self._encode(request, model, stream=True)
        http = await self._send(encoded, model, timeouts, headers)
        kind = http.headers.get("content-type", "")
        if not kind.startswith("text/event-stream"):
            http.close()
            text = f"expected a stream of events, found content type '{kind[:60]}'"
            raise ProviderError(
                ErrorClass.MALFORMED, text, provider=self.spec.name, model=model, status=http.status
            )
        decoder = (encoded.wire or self.wire).stream_decoder(request.n or 1)
        request_id = http.headers.get("x-request-id") or http.headers.get("request-id")
        limits = rate_limits(http.headers, time.time())
        return ChunkStream(
            http,
            decoder,
            self.spec.name,
            model,
            http.status,
            http.phases,
            request_id,
            encoded.warnings,
            limits,
        )

    @asynccontextmanager
    async def streaming(
        self, request: ChatRequest, model: str, timeouts: Timeouts | None = None
    ) -> AsyncIterator[ChunkStream]:
        """``open_stream`` that is closed at the end of the block."""
        stream = await self.open_stream(request, model, timeouts)
        try:
            yield stream
        finally:
            stream.close()

    async def list_models(self, timeouts: Timeouts | None = None) -> ModelsAnswer:
        """Ids of the provider's models; the cheap probe. Raises ProviderError."""
        encoded = EncodedRequest("GET", self.wire.models_path(), {}, b"")
        http = await self._send(encoded, "", timeouts, None)
        try:
            return ModelsAnswer(self.wire.decode_models(await http.body()), http.phases)
        except TransportError as error:
            raise transport_failure(error, self.spec.name, "", in_stream=True) from error
        finally:
            http.close()

    def _encode(self, request: ChatRequest, model: str, *, stream: bool) -> EncodedRequest:
        try:
            encoded = self.wire.encode(request, model, stream=stream)
            encoded.warnings = settle(encoded.warnings, request.unsupported)
        except ProviderError as error:
            error.provider, error.model = self.spec.name, model
            raise
        return encoded

    async def _send(
        self, encoded: EncodedRequest, model: str, timeouts: Timeouts | None, extra: Mapping[str, str] | None
    ) -> HttpResponse:
        headers = (
            {**self._headers, **encoded.headers, **(extra or {})}
            if extra or encoded.headers
            else self._headers
        )
        request = HttpRequest(encoded.method, self.spec.base_url + encoded.path, headers, encoded.body)
        try:
            http = await self._transport.send(request, timeouts or self.spec.timeouts)
        except TransportError as error:
            raise transport_failure(error, self.spec.name, model, in_stream=False) from error
        if 200 <= http.status < 300:
            return http
        if http.status < 400:
            http.close()
            text = f"HTTP status {http.status}: redirects are not followed; check the provider's base_url"
            raise ProviderError(
                ErrorClass.MALFORMED, text, provider=self.spec.name, model=model, status=http.status
            )
        try:
            body = await http.body(256 * 1024)
        except TransportError:
            body = b""
        finally:
            http.close()
        failed = self.wire.decode_error(http.status, http.headers, body)
        failed.provider, failed.model, failed.phases = self.spec.name, model, http.phases
        raise failed


class Clients(Mapping[str, ProviderClient]):
    """All configured providers by name, over one transport."""

    def __init__(self, specs: Iterable[ProviderSpec], transport: Transport) -> None:
        self._clients = {spec.name: ProviderClient(spec, transport) for spec in specs}

    def __getitem__(self, name: str) -> ProviderClient:
        return self._clients[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._clients)

    def __len__(self) -> int:
        return len(self._clients)
