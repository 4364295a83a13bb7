"""The Mistral wire: the OpenAI chat format with differences in names, tool-call ids and reasoning."""

import hashlib
from typing import Any

import orjson
from fairlead_common.outcomes import ErrorClass

from fairlead_models.errors import ProviderError
from fairlead_models.unified import ChatRequest, EncodedRequest, Unhonoured
from fairlead_models.wires.openai import OpenAIWire
from fairlead_models.wires.protocol import Headers, error_of, load_error

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

NOT_OFFERED = (
    "logit_bias",
    "store",
    "metadata",
    "user",
    "service_tier",
    "verbosity",
    "prompt_cache_key",
    "safety_identifier",
)


def call_id(found: str) -> str:
    """``found`` as the nine alphanumeric characters Mistral accepts: unchanged when it is such, else a stable hash."""
    if len(found) == 9 and found.isascii() and found.isalnum():
        return found
    number = int.from_bytes(hashlib.sha256(found.encode()).digest()[:8], "big")
    digits = []
    for _ in range(9):
        number, digit = divmod(number, 62)
        digits.append(ALPHABET[digit])
    return "".join(digits)


class MistralWire(OpenAIWire):
    """``POST /v1/chat/completions`` at Mistral."""

    def __init__(self) -> None:
        super().__init__("mistral")

    def encode(self, request: ChatRequest, model: str, *, stream: bool) -> EncodedRequest:
        """See ``Wire.encode``."""
        encoded = super().encode(request, model, stream=stream)
        encoded.path = "/v1/chat/completions"
        if stream:
            encoded.headers["accept"] = "text/event-stream"
        return encoded

    def _adapt(self, body: dict[str, Any]) -> list[Unhonoured]:
        warnings = [
            Unhonoured(name, "not offered by the Mistral API")
            for name in NOT_OFFERED
            if body.pop(name, None) is not None
        ]
        body.pop("stream_options", None)
        if (seed := body.pop("seed", None)) is not None:
            body["random_seed"] = seed
        effort = body.get("reasoning_effort")
        if effort is not None and effort not in ("none", "high"):
            body["reasoning_effort"] = "high"
            warnings.append(
                Unhonoured("reasoning_effort", f"'{effort}' was raised to 'high', the only level offered")
            )
        body["messages"] = [_message(message) for message in body["messages"]]
        return warnings

    def decode_error(self, status: int, headers: Headers, body: bytes) -> ProviderError:
        """See ``Wire.decode_error``: 401 and 422 carry ``detail``, the others an object of their own."""
        found = load_error(body)
        detail = found.get("detail")
        if detail is None:
            return super().decode_error(status, headers, body)
        text = detail if isinstance(detail, str) else orjson.dumps(detail).decode()
        return error_of(status, headers, text, request_id=headers.get("mistral-correlation-id"))

    def models_path(self) -> str:
        """See ``Wire.models_path``."""
        return "/v1/models"


def _message(message: dict[str, Any]) -> dict[str, Any]:
    """A copy with tool-call ids in Mistral's alphabet, and the ``developer`` role under its older name."""
    found = dict(message)
    if found.get("role") == "developer":
        found["role"] = "system"
    found.pop("refusal", None)
    if isinstance(found.get("tool_call_id"), str):
        found["tool_call_id"] = call_id(found["tool_call_id"])
    if found.get("tool_calls"):
        found["tool_calls"] = [
            {**call, "id": call_id(str(call.get("id", "")))} for call in found["tool_calls"]
        ]
    if isinstance(found.get("content"), list):
        for part in found["content"]:
            if part.get("type") not in ("text", "image_url"):
                raise ProviderError(
                    ErrorClass.UNSUPPORTED,
                    f"content of type '{part.get('type')}' cannot be sent to this provider",
                    param="messages",
                )
    return found
