"""Every feature on every wire, judged by the request models of the vendors' official clients."""

import inspect
import json
from collections.abc import Iterable
from functools import cache
from typing import Any

import cohere
import pydantic
import pytest
from anthropic.types.message_create_params import (
    MessageCreateParamsNonStreaming,
    MessageCreateParamsStreaming,
)
from cohere.types import ChatMessageV2, ToolV2
from fairlead_common.outcomes import ErrorClass
from fairlead_models.errors import ProviderError
from fairlead_models.providers import WIRES
from fairlead_models.wires.protocol import EncodedRequest
from google.genai import types as google
from mistralai.client.models import ChatCompletionRequest, ChatCompletionStreamRequest
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)

from libs.models.tests.wires.asking import FEATURES, request, unread

MODELS = {
    "openai-native": ("gpt-4.1-mini", "gpt-5.4-mini", "gpt-5.6-terra", "gpt-6-sol", "o3"),
    "anthropic": ("claude-haiku-5-5", "claude-opus-5-5", "claude-sonnet-4-5", "claude-haiku-4-5"),
    "google": ("gemini-3.8-flash", "gemini-2.5-flash", "gemini-3.1-pro-preview"),
    "mistral": ("mistral-medium-3-5", "mistral-large-4", "magistral-medium-latest"),
    "cohere": ("command-a-03-2025", "command-a-reasoning-08-2025"),
}
CASES = [(wire, model) for wire, models in MODELS.items() for model in models]


@cache
def adapter(kind: Any) -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(kind)


def exhaust(found: Any) -> None:
    """Pydantic checks the entries of an Iterable only when they are asked for."""
    if isinstance(found, dict):
        for value in found.values():
            exhaust(value)
    elif isinstance(found, Iterable) and not isinstance(found, str | bytes | pydantic.BaseModel):
        for value in found:
            exhaust(value)


def judge_typed(kind: Any, body: dict[str, Any]) -> None:
    exhaust(adapter(kind).validate_python(body))
    known = set(inspect.get_annotations(kind)) | {
        name for base in kind.__orig_bases__ for name in getattr(base, "__annotations__", {})
    }
    assert body.keys() <= known, body.keys() - known


def judge_openai(path: str, body: dict[str, Any], *, stream: bool) -> None:
    if path == "/responses":
        judge_typed(ResponseCreateParamsStreaming if stream else ResponseCreateParamsNonStreaming, body)
        return
    assert path == "/chat/completions"
    judge_typed(CompletionCreateParamsStreaming if stream else CompletionCreateParamsNonStreaming, body)


def judge_anthropic(path: str, body: dict[str, Any], *, stream: bool) -> None:
    assert path == "/v1/messages"
    judge_typed(MessageCreateParamsStreaming if stream else MessageCreateParamsNonStreaming, body)


def judge_google(path: str, body: dict[str, Any], *, stream: bool) -> None:
    assert path.endswith(":streamGenerateContent?alt=sse" if stream else ":generateContent")
    for content in body["contents"]:
        google.Content.model_validate(content)
    for tool in body.get("tools", ()):
        google.Tool.model_validate(tool)
    google.GenerationConfig.model_validate(body.get("generationConfig", {}))
    google.ToolConfig.model_validate(body.get("toolConfig", {}))
    google.Content.model_validate(body.get("systemInstruction", {}))
    assert body.keys() <= {"contents", "tools", "toolConfig", "generationConfig", "systemInstruction"}


def judge_mistral(path: str, body: dict[str, Any], *, stream: bool) -> None:
    assert path == "/v1/chat/completions"
    kind = ChatCompletionStreamRequest if stream else ChatCompletionRequest
    kind.model_validate(body)
    known = {field.alias or name for name, field in kind.model_fields.items()}
    assert body.keys() <= known, body.keys() - known


def judge_cohere(path: str, body: dict[str, Any], *, stream: bool) -> None:
    assert path == "/v2/chat"
    pydantic.TypeAdapter(list[ChatMessageV2]).validate_python(body["messages"])
    pydantic.TypeAdapter(list[ToolV2]).validate_python(body.get("tools", []))
    known = {*inspect.signature(cohere.ClientV2.chat).parameters, "stream"}
    assert body.keys() <= known, body.keys() - known


JUDGES = {
    "openai-native": judge_openai,
    "anthropic": judge_anthropic,
    "google": judge_google,
    "mistral": judge_mistral,
    "cohere": judge_cohere,
}


def encoded(wire: str, model: str, feature: str, *, stream: bool, through: bool) -> EncodedRequest | None:
    """The request as it goes out, or None when the target refuses it, which must say what."""
    asked = request(feature) if through else unread(request(feature))
    try:
        return WIRES[wire].encode(asked, model, stream=stream)
    except ProviderError as error:
        if error.error_class is not ErrorClass.UNSUPPORTED or error.param is None:
            raise
        return None


@pytest.mark.parametrize("through", [True, False], ids=["as it came", "anew"])
@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize(("wire", "model"), CASES)
def test_requests_are_what_the_vendor_s_own_client_sends(
    wire: str, model: str, feature: str, through: bool
) -> None:
    for stream in (False, True):
        found = encoded(wire, model, feature, stream=stream, through=through)
        if found is not None:
            JUDGES[wire](found.path, json.loads(found.body), stream=stream)


REFUSED = {
    ("anthropic", "claude-opus-5-5"): {"tools_required", "tools_named"},
    ("mistral", "magistral-medium-latest"): set(),
    ("cohere", "command-a-03-2025"): {"image_url", "image_data"},
}


@pytest.mark.parametrize(("wire", "model"), REFUSED)
def test_what_a_model_cannot_is_refused_and_nothing_else(wire: str, model: str) -> None:
    refused = {
        feature for feature in FEATURES if encoded(wire, model, feature, stream=False, through=False) is None
    }
    assert refused == REFUSED[(wire, model)]
