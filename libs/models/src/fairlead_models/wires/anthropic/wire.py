"""``POST /v1/messages``, in the API version that the provider's row pins."""

from collections.abc import Mapping

from fairlead_common.outcomes import ErrorClass

from fairlead_models.catalog.profiles import profile_of
from fairlead_models.drift import DRIFT
from fairlead_models.errors import ProviderError
from fairlead_models.failures import http_failure, stream_failure
from fairlead_models.unified import ChatRequest, ChatResponse, EmbeddingRequest, EmbeddingResponse, Format
from fairlead_models.wires import fitting
from fairlead_models.wires.anthropic.decode import KNOWN_TOP, WIRE, choice_of, usage_of
from fairlead_models.wires.anthropic.encode import VERSION, messages_body
from fairlead_models.wires.anthropic.stream import AnthropicStream
from fairlead_models.wires.protocol import (
    EncodedRequest,
    Headers,
    StreamDecoder,
    dump,
    load_error,
    load_object,
    malformed,
    model_ids,
    unsupported,
)
from fairlead_models.wires.reading import SHAPE_ERRORS, label


class AnthropicWire:
    """See ``Wire``.

    Args:
        version: the API version that is sent.
        model_versions: versions of single models that differ from it.
    """

    name = WIRE
    most_inputs: int | None = None

    def __init__(self, version: str = VERSION, model_versions: Mapping[str, str] | None = None) -> None:
        self._version = version
        self._model_versions = dict(model_versions or {})

    def version_of(self, model: str) -> str:
        """The API version in which requests for ``model`` go out."""
        return self._model_versions.get(model, self._version)

    def encode(self, request: ChatRequest, model: str, *, stream: bool) -> EncodedRequest:
        """See ``Wire.encode``."""
        profile, version = profile_of(self.name, model), self.version_of(model)
        fitting.check(request, profile, model)
        body, warnings = messages_body(request, model, profile, version, stream=stream)
        headers = {"anthropic-version": version}
        return EncodedRequest("POST", "/v1/messages", headers, dump(body), tuple(warnings))

    def decode(self, headers: Headers, body: bytes) -> ChatResponse:
        """See ``Wire.decode``."""
        found = load_object(body, "the answer")
        if found.get("type") == "error":
            detail = found.get("error")
            detail = detail if isinstance(detail, dict) else {}
            raise stream_failure(detail.get("message"), (detail.get("type"),))
        DRIFT.fields(self.name, "answer", found, KNOWN_TOP)
        try:
            choice = choice_of(found)
        except SHAPE_ERRORS as error:
            raise malformed("the answer", error) from error
        if choice.finish_reason is None:
            raise ProviderError(ErrorClass.MALFORMED, "the answer has no stop_reason")
        return ChatResponse(
            id=label(found.get("id")),
            model=label(found.get("model")),
            choices=[choice],
            usage=usage_of(found.get("usage")),
            provider_request_id=headers.get("request-id"),
            raw=found,
            raw_format=Format.ANTHROPIC_MESSAGES,
        )

    def decode_error(self, status: int, headers: Headers, body: bytes) -> ProviderError:
        """See ``Wire.decode_error``."""
        found = load_error(body)
        detail = found.get("error")
        detail = detail if isinstance(detail, dict) else {}
        more = detail.get("details")
        return http_failure(
            status,
            headers,
            detail.get("message"),
            (more.get("error_code") if isinstance(more, dict) else None, detail.get("type")),
            request_id=headers.get("request-id") or label(found.get("request_id")),
        )

    def stream_decoder(self, choices: int = 1) -> StreamDecoder:
        """See ``Wire.stream_decoder``: there is always one choice."""
        return AnthropicStream()

    def encode_embeddings(self, request: EmbeddingRequest, model: str) -> EncodedRequest:
        """See ``Wire.encode_embeddings``: Anthropic has none."""
        raise unsupported("Anthropic offers no embeddings", "model")

    def decode_embeddings(self, headers: Headers, body: bytes, count: int) -> EmbeddingResponse:
        """See ``Wire.decode_embeddings``: Anthropic has none."""
        raise unsupported("Anthropic offers no embeddings", "model")

    def models_path(self) -> str:
        """See ``Wire.models_path``."""
        return "/v1/models"

    def decode_models(self, body: bytes) -> list[str]:
        """See ``Wire.decode_models``."""
        return model_ids(body, "data", "id")
