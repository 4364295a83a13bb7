"""The chat-completions wire, and Azure's address for it."""

from urllib.parse import quote

from fairlead_models.catalog.profiles import profile_of
from fairlead_models.drift import DRIFT
from fairlead_models.errors import ProviderError
from fairlead_models.unified import ChatRequest, ChatResponse, EmbeddingRequest, EmbeddingResponse
from fairlead_models.wires import fitting
from fairlead_models.wires.openai import embeddings
from fairlead_models.wires.openai.decode import KNOWN_TOP, choice_of, request_id_of, usage_of
from fairlead_models.wires.openai.dialects import Dialect
from fairlead_models.wires.openai.encode import chat_body
from fairlead_models.wires.openai.errors import error_in_200, http_error, is_error
from fairlead_models.wires.openai.stream import OpenAIStream
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
from fairlead_models.wires.reading import SHAPE_ERRORS, as_int, label, records
from fairlead_models.wires.responses.choosing import wants_responses
from fairlead_models.wires.responses.wire import ResponsesWire


class OpenAIWire:
    """``POST /chat/completions`` as one endpoint speaks it.

    OpenAI's own reasoning models take tools only on the Responses API; such requests go there, and come back in the
    same unified form.
    """

    most_inputs: int | None = None

    def __init__(self, dialect: Dialect) -> None:
        self.name = dialect.name
        self._dialect = dialect
        self._responses = ResponsesWire(self.responses_path)

    def encode(self, request: ChatRequest, model: str, *, stream: bool) -> EncodedRequest:
        """See ``Wire.encode``."""
        profile = profile_of(self.name, model)
        fitting.check(request, profile, model)
        if self._dialect.modern and wants_responses(request, profile):
            return self._responses.encode(request, model, stream=stream)
        body, warnings = chat_body(request, model, profile, self._dialect, stream=stream)
        return EncodedRequest("POST", self.chat_path(model), {}, dump(body), tuple(warnings))

    def chat_path(self, model: str) -> str:
        """Path of the chat endpoint."""
        return "/chat/completions"

    def responses_path(self, model: str) -> str:
        """Path of the Responses endpoint."""
        return "/responses"

    def embeddings_path(self, model: str) -> str:
        """Path of the embeddings endpoint."""
        return "/embeddings"

    def decode(self, headers: Headers, body: bytes) -> ChatResponse:
        """See ``Wire.decode``."""
        found = load_object(body, "the answer")
        if is_error(found):
            raise error_in_200(found)
        DRIFT.fields(self.name, "answer", found, KNOWN_TOP)
        try:
            rows = records(found["choices"])
            choices = [choice_of(each, place, self.name) for place, each in enumerate(rows)]
        except SHAPE_ERRORS as error:
            raise malformed("the answer", error) from error
        finished(choices)
        plain = all(not isinstance(each["message"].get("content"), list) for each in rows)
        return ChatResponse(
            id=label(found.get("id")),
            model=label(found.get("model")),
            choices=choices,
            usage=usage_of(found.get("usage"), self.name, found.get("service_tier")),
            created=as_int(found.get("created")),
            provider_request_id=request_id_of(headers),
            raw=found if plain else None,
        )

    def decode_error(self, status: int, headers: Headers, body: bytes) -> ProviderError:
        """See ``Wire.decode_error``."""
        return http_error(status, headers, body)

    def stream_decoder(self, choices: int = 1) -> StreamDecoder:
        """See ``Wire.stream_decoder``."""
        return OpenAIStream(self.name, choices if self._dialect.many_choices else 1)

    def encode_embeddings(self, request: EmbeddingRequest, model: str) -> EncodedRequest:
        """See ``Wire.encode_embeddings``."""
        body, warnings = embeddings.body_of(request, model)
        return EncodedRequest("POST", self.embeddings_path(model), {}, dump(body), tuple(warnings))

    def decode_embeddings(self, headers: Headers, body: bytes, count: int) -> EmbeddingResponse:
        """See ``Wire.decode_embeddings``."""
        return embeddings.response_of(headers, body, count, self.name)

    def models_path(self) -> str:
        """See ``Wire.models_path``."""
        return self._dialect.models_path

    def decode_models(self, body: bytes) -> list[str]:
        """See ``Wire.decode_models``."""
        return model_ids(body, "data", "id")


class AzureWire(OpenAIWire):
    """OpenAI's models at Azure: on the ``v1`` API the paths are OpenAI's; a dated version names the deployment in the path.

    Args:
        api_version: ``v1``, ``preview``, or a date as in 2025-04-01-preview.
    """

    def __init__(self, dialect: Dialect, api_version: str = "v1") -> None:
        super().__init__(dialect)
        self._api_version = api_version

    @property
    def _dated(self) -> bool:
        return self._api_version[:1].isdigit()

    def _path(self, model: str, leaf: str) -> str:
        if not self._dated:
            version = "" if self._api_version == "v1" else f"?api-version={quote(self._api_version)}"
            return f"/openai/v1/{leaf}{version}"
        place = "" if leaf == "responses" else f"deployments/{quote(model, safe='')}/"
        return f"/openai/{place}{leaf}?api-version={quote(self._api_version)}"

    def chat_path(self, model: str) -> str:
        """See ``OpenAIWire.chat_path``."""
        return self._path(model, "chat/completions")

    def responses_path(self, model: str) -> str:
        """See ``OpenAIWire.responses_path``."""
        return self._path(model, "responses")

    def embeddings_path(self, model: str) -> str:
        """See ``OpenAIWire.embeddings_path``."""
        return self._path(model, "embeddings")

    def models_path(self) -> str:
        """See ``Wire.models_path``."""
        if self._dated:
            return f"/openai/models?api-version={quote(self._api_version)}"
        return "/openai/v1/models"
