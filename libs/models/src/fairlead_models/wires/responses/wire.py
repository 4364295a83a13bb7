"""``POST /responses``: the other API of OpenAI, for models that reason with tools only there."""

from collections.abc import Callable

from fairlead_models.catalog.profiles import profile_of
from fairlead_models.drift import DRIFT
from fairlead_models.errors import ProviderError
from fairlead_models.unified import ChatRequest, ChatResponse, EmbeddingRequest, EmbeddingResponse, Format
from fairlead_models.wires import fitting
from fairlead_models.wires.openai.decode import request_id_of
from fairlead_models.wires.openai.errors import error_in_200, http_error, is_error
from fairlead_models.wires.protocol import (
    EncodedRequest,
    Headers,
    StreamDecoder,
    dump,
    load_object,
    malformed,
    model_ids,
    unsupported,
)
from fairlead_models.wires.reading import SHAPE_ERRORS, as_int, label
from fairlead_models.wires.responses.decode import KNOWN_TOP, WIRE, choice_of, usage_of
from fairlead_models.wires.responses.encode import responses_body
from fairlead_models.wires.responses.stream import ResponsesStream


class ResponsesWire:
    """See ``Wire``.

    Args:
        path: the endpoint's path for a model.
    """

    name = WIRE
    most_inputs: int | None = None

    def __init__(self, path: Callable[[str], str] = lambda model: "/responses") -> None:
        self._path = path

    def encode(self, request: ChatRequest, model: str, *, stream: bool) -> EncodedRequest:
        """See ``Wire.encode``."""
        profile = profile_of("openai", model)
        fitting.check(request, profile, model)
        body, warnings = responses_body(request, model, profile, stream=stream)
        return EncodedRequest("POST", self._path(model), {}, dump(body), tuple(warnings), self)

    def decode(self, headers: Headers, body: bytes) -> ChatResponse:
        """See ``Wire.decode``."""
        found = load_object(body, "the answer")
        if is_error({**found, "choices": found.get("output")}):
            raise error_in_200(found)
        DRIFT.fields(WIRE, "answer", found, KNOWN_TOP)
        try:
            choice = choice_of(found)
        except SHAPE_ERRORS as error:
            raise malformed("the answer", error) from error
        return ChatResponse(
            id=label(found.get("id")),
            model=label(found.get("model")),
            choices=[choice],
            usage=usage_of(found.get("usage"), found.get("service_tier")),
            created=as_int(found.get("created_at")),
            provider_request_id=request_id_of(headers),
            raw=found,
            raw_format=Format.OPENAI_RESPONSES,
        )

    def decode_error(self, status: int, headers: Headers, body: bytes) -> ProviderError:
        """See ``Wire.decode_error``."""
        return http_error(status, headers, body)

    def stream_decoder(self, choices: int = 1) -> StreamDecoder:
        """See ``Wire.stream_decoder``: there is always one choice."""
        return ResponsesStream()

    def encode_embeddings(self, request: EmbeddingRequest, model: str) -> EncodedRequest:
        """See ``Wire.encode_embeddings``."""
        raise unsupported("the Responses API has no embeddings", "model")

    def decode_embeddings(self, headers: Headers, body: bytes, count: int) -> EmbeddingResponse:
        """See ``Wire.decode_embeddings``."""
        raise unsupported("the Responses API has no embeddings", "model")

    def models_path(self) -> str:
        """See ``Wire.models_path``."""
        return "/models"

    def decode_models(self, body: bytes) -> list[str]:
        """See ``Wire.decode_models``."""
        return model_ids(body, "data", "id")
