"""``POST /v1/models/{model}:generateContent`` and ``:streamGenerateContent?alt=sse``."""

from urllib.parse import quote

from fairlead_models.catalog.profiles import profile_of
from fairlead_models.drift import DRIFT
from fairlead_models.errors import ProviderError
from fairlead_models.unified import ChatRequest, ChatResponse, EmbeddingRequest, EmbeddingResponse
from fairlead_models.wires import fitting
from fairlead_models.wires.google import embeddings
from fairlead_models.wires.google.decode import KNOWN_TOP, WIRE, CallNames, blocked, choice_of, usage_of
from fairlead_models.wires.google.encode import generate_body
from fairlead_models.wires.google.errors import error_in_200, http_error
from fairlead_models.wires.google.stream import GoogleStream
from fairlead_models.wires.protocol import (
    EncodedRequest,
    Headers,
    StreamDecoder,
    dump,
    finished,
    load_object,
    malformed,
    model_ids,
)
from fairlead_models.wires.reading import SHAPE_ERRORS, label, records

VERSION = "v1"


class GoogleWire:
    """See ``Wire``.

    Args:
        version: the API version in the path, v1 or v1beta.
    """

    name = WIRE
    most_inputs: int | None = 100

    def __init__(self, version: str = VERSION) -> None:
        self._version = version

    def encode(self, request: ChatRequest, model: str, *, stream: bool) -> EncodedRequest:
        """See ``Wire.encode``."""
        profile = profile_of(self.name, model)
        fitting.check(request, profile, model)
        body, warnings = generate_body(request, profile)
        verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
        path = f"/{self._version}/models/{quote(model, safe='')}:{verb}"
        return EncodedRequest("POST", path, {}, dump(body), tuple(warnings))

    def decode(self, headers: Headers, body: bytes) -> ChatResponse:
        """See ``Wire.decode``."""
        found = load_object(body, "the answer")
        if "error" in found and "candidates" not in found:
            raise error_in_200(found)
        DRIFT.fields(self.name, "answer", found, KNOWN_TOP)
        names = CallNames(found.get("responseId"))
        try:
            rows = records(found.get("candidates"))
            choices = [choice_of(row, place, names) for place, row in enumerate(rows)] or [blocked(found)]
        except SHAPE_ERRORS as error:
            raise malformed("the answer", error) from error
        finished(choices)
        usage = usage_of(found.get("usageMetadata"))
        usage.service_tier = usage.service_tier or headers.get("x-gemini-service-tier")
        return ChatResponse(
            id=label(found.get("responseId")),
            model=label(found.get("modelVersion")),
            choices=choices,
            usage=usage,
            provider_request_id=label(found.get("responseId")),
        )

    def decode_error(self, status: int, headers: Headers, body: bytes) -> ProviderError:
        """See ``Wire.decode_error``."""
        return http_error(status, headers, body)

    def stream_decoder(self, choices: int = 1) -> StreamDecoder:
        """See ``Wire.stream_decoder``."""
        return GoogleStream(choices)

    def encode_embeddings(self, request: EmbeddingRequest, model: str) -> EncodedRequest:
        """See ``Wire.encode_embeddings``."""
        body, warnings = embeddings.body_of(request, model)
        path = f"/{self._version}/models/{quote(model, safe='')}:batchEmbedContents"
        return EncodedRequest("POST", path, {}, dump(body), tuple(warnings))

    def decode_embeddings(self, headers: Headers, body: bytes, count: int) -> EmbeddingResponse:
        """See ``Wire.decode_embeddings``."""
        return embeddings.response_of(headers, body, count)

    def models_path(self) -> str:
        """See ``Wire.models_path``."""
        return f"/{self._version}/models"

    def decode_models(self, body: bytes) -> list[str]:
        """See ``Wire.decode_models``."""
        return [each.removeprefix("models/") for each in model_ids(body, "models", "name")]
