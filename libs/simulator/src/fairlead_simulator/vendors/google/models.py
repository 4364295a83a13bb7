"""The models of the simulated Gemini API, and how each of them thinks.

``level`` and ``budget`` are the two ways to say how much; ``always`` = thinking cannot be switched off; ``signed`` = calls
of functions come with a signature that must come back; ``json_beside_tools`` = JSON answers and functions go together.
"""

from typing import Any

from fairlead_simulator.ask import Thinking
from fairlead_simulator.checks import FLAG, Flaw, check, integer, one_of
from fairlead_simulator.vendors.vendor import Model, Refused

LEVELS = {"MINIMAL": 8, "LOW": 16, "MEDIUM": 48, "HIGH": 96}
"""Tokens of thought for each level."""
DYNAMIC = 24
GEMINI_3 = frozenset(["level", "budget", "signed", "json_beside_tools"])
GEMINI_2 = frozenset(["budget"])
RULES = {
    "includeThoughts": FLAG,
    "thinkingBudget": integer(-1, 32768),
    "thinkingLevel": one_of("THINKING_LEVEL_UNSPECIFIED", *LEVELS, *map(str.lower, LEVELS)),
}

MODELS = {
    model.id: model
    for model in (
        Model(
            "gemini-3.1-pro-preview",
            "Gemini 3.1 Pro Preview",
            1_048_576,
            65_536,
            "3.1",
            traits=GEMINI_3 | {"always"},
        ),
        Model("gemini-3.8-flash", "Gemini 3.8 Flash", 1_048_576, 65_536, "3.8", traits=GEMINI_3),
        Model("gemini-3.5-flash-lite", "Gemini 3.5 Flash-Lite", 1_048_576, 65_536, "3.5", traits=GEMINI_3),
        Model("gemini-2.5-flash", "Gemini 2.5 Flash", 1_048_576, 65_536, "001", traits=GEMINI_2),
        Model("gemini-embedding-001", "Gemini Embedding 001", 2_048, 1, "001", dimensions=3072),
        Model(
            "gemini-embedding-2",
            "Gemini Embedding 2",
            8_192,
            1,
            "2",
            dimensions=3072,
        ),
    )
}


def refused(message: str) -> Refused:
    """A refusal of a request, with 400."""
    return Refused(400, message, kind="INVALID_ARGUMENT")


def found(name: str, version: str, method: str) -> Model:
    """The model, if it can do this. Raises Refused with 404."""
    model = MODELS.get(name)
    if model is None or method not in methods(model):
        raise Refused(
            404,
            f"models/{name} is not found for API version {version}, or is not supported for {method}. Call ListModels to"
            " see the list of available models and their supported methods.",
            kind="NOT_FOUND",
        )
    return model


def methods(model: Model) -> list[str]:
    """What can be asked of the model."""
    if model.dimensions:
        return ["embedContent", "batchEmbedContents", "countTokens"]
    return ["generateContent", "streamGenerateContent", "countTokens"]


def thinking(model: Model, config: dict[str, Any] | None) -> Thinking:
    """How the model thinks. Raises Flaw, and Refused when it cannot think in this way."""
    config = config or {}
    check(config, RULES, ("generationConfig", "thinkingConfig"))
    level, budget = config.get("thinkingLevel"), config.get("thinkingBudget")
    if level is not None and budget is not None:
        raise refused("You can only set only one of thinking budget and thinking level.")
    shown = bool(config.get("includeThoughts"))
    if level is not None and level != "THINKING_LEVEL_UNSPECIFIED":
        if "level" not in model.traits:
            raise refused("Thinking level is not supported for this model.")
        return Thinking(LEVELS[level.upper()], shown=shown)
    if budget is None or budget == -1:
        return Thinking(DYNAMIC, asked=False, shown=shown)
    if budget == 0 and "always" in model.traits:
        raise refused("Budget 0 is invalid. This model only works in thinking mode.")
    if budget > 24_576 and "level" not in model.traits:
        message = f"The thinking budget {budget} is invalid. Please choose a value between 0 and 24576."
        raise Flaw("other", ("generationConfig", "thinkingConfig", "thinkingBudget"), budget, message)
    return Thinking(min(int(budget), max(8, int(budget) // 64), 256), shown=shown)


def card(model: Model) -> dict[str, Any]:
    """The model in the list of models."""
    found: dict[str, Any] = {
        "name": f"models/{model.id}",
        "version": model.family,
        "displayName": model.name,
        "description": f"{model.name}, simulated.",
        "inputTokenLimit": model.context,
        "outputTokenLimit": model.output,
        "supportedGenerationMethods": methods(model),
    }
    if not model.dimensions:
        found |= {"temperature": 1, "topP": 0.95, "topK": 64, "maxTemperature": 2, "thinking": True}
    return found
