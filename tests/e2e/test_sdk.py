"""The official OpenAI SDK, pointed at a running Fairlead, talks to models of all five providers."""

import pytest
from openai import APIStatusError, OpenAI

from tests.support.stack import Stack

MODELS = {
    "openai": "openai/gpt-5.4-mini",
    "anthropic": "anthropic/claude-haiku-5-5",
    "google": "google/gemini-3.8-flash",
    "mistral": "mistral/mistral-medium-3-5",
    "cohere": "cohere/command-a-03-2025",
}


@pytest.mark.parametrize("provider", MODELS)
def test_a_chat_whole_and_streamed(stack: Stack, provider: str) -> None:
    with OpenAI(base_url=f"{stack.edge_url}/v1", api_key=stack.key, max_retries=0) as client:
        asked = {"model": MODELS[provider], "messages": [{"role": "user", "content": "What is a fairlead?"}]}
        raw = client.chat.completions.with_raw_response.create(**asked)  # type: ignore[call-overload]
        assert raw.headers["x-fairlead-provider"] == provider
        whole = raw.parse()
        assert whole.choices[0].finish_reason == "stop"
        assert whole.choices[0].message.content
        assert whole.usage.total_tokens > 0
        pieces = list(client.chat.completions.create(**asked, stream=True))  # type: ignore[call-overload]
        text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
        assert text == whole.choices[0].message.content
        assert pieces[-1].choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("key", "model", "status", "code"),
    [
        ("fl-wrong", "auto", 401, "invalid_api_key"),
        (None, "openai/gpt-5.4-mini", 200, None),
        (None, "no-such-model", 404, "model_not_found"),
    ],
)
def test_errors_are_what_the_sdk_expects(
    stack: Stack, key: str | None, model: str, status: int, code: str | None
) -> None:
    with OpenAI(base_url=f"{stack.edge_url}/v1", api_key=key or stack.key, max_retries=0) as client:
        try:
            client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hello"}])
        except APIStatusError as error:
            found, said = error.status_code, error.code
        else:
            found, said = 200, None
    assert (found, said) == (status, code)
