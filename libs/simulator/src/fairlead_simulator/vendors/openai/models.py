"""The models of the simulated OpenAI, and which parameters each of them takes.

Facts behind the refusals: models with reasoning take ``temperature``, ``top_p`` and ``logprobs`` only at effort ``none``;
from gpt-5.4 on, chat completions refuse function tools beside any other effort, also beside the default one, which is
``medium`` from gpt-5.5 on (github.com/BerriAI/litellm/pull/34569, github.com/jeffdafoe/llm-memory-api/pull/178).
"""

from typing import Any

from fairlead_simulator.ask import Thinking
from fairlead_simulator.checks import Flaw
from fairlead_simulator.vendors.vendor import Model, Refused, sentence

EFFORTS = {"none": 0, "minimal": 8, "low": 16, "medium": 48, "high": 96, "xhigh": 160, "max": 256}
"""Tokens of thought for each effort."""
NEW = ("none", "low", "medium", "high", "xhigh")
NO_TOOLS_BESIDE_EFFORT = frozenset(["no_tools_beside_effort"])

MODELS = {
    model.id: model
    for model in (
        Model(
            "gpt-5.6",
            "GPT-5.6",
            1_050_000,
            128_000,
            "gpt",
            (*NEW, "max"),
            "medium",
            traits=NO_TOOLS_BESIDE_EFFORT,
        ),
        Model("gpt-5.5", "GPT-5.5", 1_050_000, 128_000, "gpt", NEW, "medium", traits=NO_TOOLS_BESIDE_EFFORT),
        Model("gpt-5.4", "GPT-5.4", 1_050_000, 128_000, "gpt", NEW, traits=NO_TOOLS_BESIDE_EFFORT),
        Model("gpt-5.4-mini", "GPT-5.4 mini", 400_000, 128_000, "gpt", NEW, traits=NO_TOOLS_BESIDE_EFFORT),
        Model("gpt-5.4-nano", "GPT-5.4 nano", 400_000, 128_000, "gpt", NEW, traits=NO_TOOLS_BESIDE_EFFORT),
        Model("gpt-4.1", "GPT-4.1", 1_047_576, 32_768, "gpt"),
        Model("gpt-4.1-mini", "GPT-4.1 mini", 1_047_576, 32_768, "gpt"),
        Model("o4-mini", "o4-mini", 200_000, 100_000, "o", ("low", "medium", "high"), "medium"),
        Model("text-embedding-3-small", "", 8_192, 0, "embedding", dimensions=1536),
        Model("text-embedding-3-large", "", 8_192, 0, "embedding", dimensions=3072),
        Model("text-embedding-ada-002", "", 8_192, 0, "embedding", dimensions=1536),
    )
}


def found(name: str) -> Model:
    """The model. Raises Refused with 404."""
    model = MODELS.get(name)
    if model is None:
        message = f"The model `{name}` does not exist or you do not have access to it."
        raise Refused(404, message, kind="invalid_request_error", code="model_not_found")
    return model


def thinking(model: Model, effort: Any, param: str) -> Thinking | None:
    """How the model thinks at this effort, None = the default one. Raises Flaw, and Refused when it cannot."""
    if not model.efforts:
        if effort is not None:
            raise unsupported(param)
        return None
    if effort is not None and effort not in EFFORTS:
        raise Flaw("choice", tuple(param.split(".")), effort, tuple(EFFORTS))
    if effort is not None and effort not in model.efforts:
        supported = sentence(model.efforts)
        message = f"Unsupported value: '{effort}' is not supported with the '{model.id}' model."
        raise Refused(
            400,
            f"{message} Supported values are: {supported}.",
            kind="invalid_request_error",
            code="unsupported_value",
            param=param,
        )
    tokens = EFFORTS[effort or model.default_effort]
    return Thinking(tokens, asked=effort is not None, shown=False) if tokens else None


def check_sampling(model: Model, body: dict[str, Any], thinks: Thinking | None) -> None:
    """Raise Refused for a sampling parameter that the model does not take while it thinks."""
    if thinks is None:
        return
    for name, default in (
        ("temperature", 1),
        ("top_p", 1),
        ("presence_penalty", 0),
        ("frequency_penalty", 0),
    ):
        value = body.get(name)
        if value is not None and value != default:
            message = (
                f"Unsupported value: '{name}' does not support {value} with this model."
                f" Only the default ({default}) value is supported."
            )
            raise Refused(400, message, kind="invalid_request_error", code="unsupported_value", param=name)
    for name in ("logprobs", "top_logprobs", "logit_bias"):
        if body.get(name):
            raise unsupported(name)


def unsupported(name: str, instead: str = "") -> Refused:
    """The refusal of a parameter that the model does not take."""
    message = f"Unsupported parameter: '{name}' is not supported with this model.{instead}"
    return Refused(400, message, kind="invalid_request_error", code="unsupported_parameter", param=name)
