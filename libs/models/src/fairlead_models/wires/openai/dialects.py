"""OpenAI-compatible endpoints as data: how each differs from what most of them accept.

A row says what an endpoint refuses or calls otherwise; what no row mentions goes out as the caller sent it. Facts about
single models (reasoning, sampling) are in the catalog file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

NOT_SUPPORTED = "not offered by this provider"


@dataclass(frozen=True, slots=True)
class Dialect:
    """One endpoint's way to speak the chat-completions wire."""

    name: str
    """Whose models these are in the catalog file, and whose thoughts the answers carry."""
    modern: bool = False
    """The rules of OpenAI's own reasoning models apply, and requests may have to go to the Responses API."""
    max_tokens: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    developer_role: bool = False
    """The role ``developer`` is known; elsewhere it is sent as ``system``."""
    refuses: Mapping[str, str] = field(default_factory=dict)
    """Parameters that are left out with a warning, and why."""
    forced_tools: bool = True
    """``tool_choice`` can force a call."""
    image_urls: bool = True
    """Images may be given by URL, not only as data."""
    metadata: bool = False
    """``metadata`` is accepted."""
    thoughts: Literal["reasoning_content", "reasoning", "reasoning_details"] | None = None
    """The field in which the history carries what the model thought; None = it must not."""
    many_choices: bool = True
    """``n`` may be more than 1."""
    stop_limit: int = 4
    models_path: str = "/models"


def _refuse(names: str, why: str = NOT_SUPPORTED) -> dict[str, str]:
    return dict.fromkeys(names.split(), why)


OPENAI = Dialect(
    "openai", modern=True, max_tokens="max_completion_tokens", developer_role=True, metadata=True
)
AZURE = OPENAI
"""Azure serves the same models; only address and key header differ, see ``AzureWire``."""
COMPATIBLE = Dialect("compatible", stop_limit=64)
GROQ = Dialect(
    "groq",
    max_tokens="max_completion_tokens",
    refuses=_refuse("logprobs top_logprobs logit_bias frequency_penalty presence_penalty top_k"),
    many_choices=False,
    thoughts="reasoning",
)
DEEPSEEK = Dialect(
    "deepseek",
    refuses=_refuse("seed parallel_tool_calls logit_bias top_k"),
    many_choices=False,
    thoughts="reasoning_content",
    stop_limit=16,
)
TOGETHER = Dialect("together", stop_limit=64)
FIREWORKS = Dialect("fireworks", thoughts="reasoning_content")
OPENROUTER = Dialect("openrouter", thoughts="reasoning_details", many_choices=False, stop_limit=64)
XAI = Dialect(
    "xai",
    max_tokens="max_completion_tokens",
    refuses=_refuse("logit_bias top_k"),
)
VLLM = Dialect("vllm", thoughts="reasoning_content", stop_limit=64)
OLLAMA = Dialect(
    "ollama",
    refuses=_refuse("logit_bias user parallel_tool_calls top_k"),
    forced_tools=False,
    image_urls=False,
    many_choices=False,
    stop_limit=64,
)
