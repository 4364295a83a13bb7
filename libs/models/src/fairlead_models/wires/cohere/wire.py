"""``POST /v2/chat`` and ``/v2/embed``."""

from fairlead_models.catalog.profiles import profile_of
from fairlead_models.drift import DRIFT
from fairlead_models.errors import ProviderError
from fairlead_models.failures import http_failure
from fairlead_models.unified import ChatRequest, ChatResponse, EmbeddingRequest, EmbeddingResponse
from fairlead_models.wires import fitting
from fairlead_models.wires.cohere import embeddings
from fairlead_models.wires.cohere.decode import KNOWN_TOP, WIRE, choice_of, usage_of
from fairlead_models.wires.cohere.encode import chat_body
from fairlead_models.wires.cohere.stream import CohereStream
from fairlead_models.wires.protocol import (
    EncodedRequest,
    Headers,
    StreamDecoder,
    dump,
    finished,
    load_error,
    load_object,
    malformed,
    model_ids,
)
from fairlead_models.wires.reading import SHAPE_ERRORS, label


class CohereWire:
    """See ``Wire``."""

    name = WIRE
    most_inputs: int | None = 96

    def encode(self, request: ChatRequest, model: str, *, stream: bool) -> EncodedRequest:
        """See ``Wire.encode``."""
        profile = profile_of(self.name, model)
        fitting.check(request, profile, model)
        body, warnings = chat_body(request, model, profile, stream=stream)
        return EncodedRequest("POST", "/v2/chat", {}, dump(body), tuple(warnings))

    def decode(self, headers: Headers, body: bytes) -> ChatResponse:
        """See ``Wire.decode``."""
        found = load_object(body, "the answer")
        DRIFT.fields(self.name, "answer", found, KNOWN_TOP)
        try:
            choice = choice_of(found)
        except SHAPE_ERRORS as error:
            raise malformed("the answer", error) from error
        finished([choice])
        return ChatResponse(
            id=label(found.get("id")),
            model=None,
            choices=[choice],
            usage=usage_of(found.get("usage")),
            provider_request_id=headers.get("x-debug-trace-id"),
        )

    def decode_error(self, status: int, headers: Headers, body: bytes) -> ProviderError:
        """See ``Wire.decode_error``."""
        found = load_error(body)
        return http_failure(status, headers, found.get("message"), request_id=headers.get("x-debug-trace-id"))

    def stream_decoder(self, choices: int = 1) -> StreamDecoder:
        """See ``Wire.stream_decoder``: there is always one choice."""
        return CohereStream()

    def encode_embeddings(self, request: EmbeddingRequest, model: str) -> EncodedRequest:
        """See ``Wire.encode_embeddings``."""
        body, warnings = embeddings.body_of(request, model)
        return EncodedRequest("POST", "/v2/embed", {}, dump(body), tuple(warnings))

    def decode_embeddings(self, headers: Headers, body: bytes, count: int) -> EmbeddingResponse:
        """See ``Wire.decode_embeddings``."""
        return embeddings.response_of(headers, body, count)

    def models_path(self) -> str:
        """See ``Wire.models_path``: the list is still on v1."""
        return "/v1/models"

    def decode_models(self, body: bytes) -> list[str]:
        """See ``Wire.decode_models``."""
        return model_ids(body, "models", "name")
