"""``POST /v1/chat/completions`` at Mistral."""

from typing import Any

import orjson

from fairlead_models.catalog.profiles import profile_of
from fairlead_models.errors import ProviderError
from fairlead_models.failures import http_failure
from fairlead_models.unified import ChatRequest, EmbeddingRequest
from fairlead_models.wires import fitting
from fairlead_models.wires.mistral.encode import chat_body
from fairlead_models.wires.openai import embeddings
from fairlead_models.wires.openai.decode import request_id_of
from fairlead_models.wires.openai.dialects import Dialect
from fairlead_models.wires.openai.wire import OpenAIWire
from fairlead_models.wires.protocol import EncodedRequest, Headers, dump, load_error

MISTRAL = Dialect("mistral", models_path="/v1/models")


class MistralWire(OpenAIWire):
    """See ``Wire``; answers are read as on the OpenAI wire."""

    def __init__(self) -> None:
        super().__init__(MISTRAL)

    def encode(self, request: ChatRequest, model: str, *, stream: bool) -> EncodedRequest:
        """See ``Wire.encode``."""
        profile = profile_of(self.name, model)
        fitting.check(request, profile, model)
        body, warnings = chat_body(request, model, profile, stream=stream)
        headers = {"accept": "text/event-stream"} if stream else {}
        return EncodedRequest("POST", "/v1/chat/completions", headers, dump(body), tuple(warnings))

    def decode_error(self, status: int, headers: Headers, body: bytes) -> ProviderError:
        """See ``Wire.decode_error``: 401 and 422 carry ``detail``, the others an object of their own."""
        found = load_error(body)
        detail = found.get("detail")
        if isinstance(detail, list):
            text = orjson.dumps(detail).decode()
            return http_failure(status, headers, text, request_id=request_id_of(headers))
        return super().decode_error(status, headers, body)

    def encode_embeddings(self, request: EmbeddingRequest, model: str) -> EncodedRequest:
        """See ``Wire.encode_embeddings``."""
        body: dict[str, Any] = {"model": model, "input": request.inputs, "encoding_format": "base64"}
        if request.dimensions is not None:
            body["output_dimension"] = request.dimensions
        warnings = embeddings.input_type_left_out(request) + fitting.embedding_extras(request)
        warnings += embeddings.user_left_out(request, "Mistral")
        fitting.texts_only(request)
        return EncodedRequest("POST", "/v1/embeddings", {}, dump(body), tuple(warnings))
