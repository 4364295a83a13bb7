"""The models of the simulated Mistral. ``effort`` = takes ``reasoning_effort``; ``thinks`` = reasons by itself."""

from typing import Any

from fairlead_simulator.ask import Thinking
from fairlead_simulator.vendors.vendor import Model, Refused

HIGH = 96
BY_ITSELF = 48
EFFORT, THINKS = frozenset(["effort"]), frozenset(["thinks"])
RESIZED = frozenset(["resized"])

MODELS = {
    model.id: model
    for model in (
        Model("mistral-large-4", "Mistral Large 4", 262_144, 262_144, "mistral-large-latest"),
        Model("mistral-large-latest", "Mistral Large 4", 262_144, 262_144, "mistral-large-4"),
        Model(
            "mistral-medium-3-5",
            "Mistral Medium 3.5",
            131_072,
            131_072,
            "mistral-medium-latest",
            traits=EFFORT,
        ),
        Model(
            "mistral-medium-latest",
            "Mistral Medium 3.5",
            131_072,
            131_072,
            "mistral-medium-3-5",
            traits=EFFORT,
        ),
        Model(
            "mistral-small-2603", "Mistral Small 4", 262_144, 262_144, "mistral-small-latest", traits=EFFORT
        ),
        Model(
            "mistral-small-latest", "Mistral Small 4", 262_144, 262_144, "mistral-small-2603", traits=EFFORT
        ),
        Model("ministral-8b-2512", "Ministral 8B", 262_144, 262_144),
        Model("magistral-medium-latest", "Magistral Medium", 131_072, 131_072, traits=THINKS),
        Model("mistral-embed", "Mistral Embed", 8_192, 0, dimensions=1024),
        Model("codestral-embed", "Codestral Embed", 8_192, 0, dimensions=1536, traits=RESIZED),
    )
}


def found(name: Any) -> Model:
    """The model. Raises Refused: an unknown model is a bad request here."""
    model = MODELS.get(name)
    if model is None:
        raise Refused(400, f"Invalid model: {name}", kind="invalid_model", code="1500")
    return model


def thinking(model: Model, body: dict[str, Any]) -> Thinking | None:
    """How the model thinks. Raises Refused when it cannot."""
    effort = body.get("reasoning_effort")
    if effort is not None and not model.traits & {"effort", "thinks"}:
        message = f"reasoning_effort is not supported for model {model.id}"
        raise Refused(400, message, kind="invalid_request_error", code="3051", param="reasoning_effort")
    if effort == "high" or body.get("prompt_mode") == "reasoning":
        return Thinking(HIGH)
    return Thinking(BY_ITSELF, asked=False) if "thinks" in model.traits and effort is None else None


def card(model: Model) -> dict[str, Any]:
    """The model in the list of models."""
    chats = not model.dimensions
    abilities = {
        "completion_chat": chats,
        "completion_fim": False,
        "function_calling": chats,
        "reasoning": bool(model.traits & {"effort", "thinks"}),
        "fine_tuning": False,
        "vision": chats,
        "ocr": False,
        "classification": False,
        "moderation": False,
        "audio": False,
    }
    return {
        "id": model.id,
        "object": "model",
        "created": 1_780_000_000,
        "owned_by": "mistralai",
        "name": model.name,
        "description": f"{model.name}, simulated.",
        "max_context_length": model.context,
        "aliases": [model.family] if model.family else [],
        "deprecation": None,
        "default_model_temperature": 0.3 if chats else None,
        "type": "base",
        "capabilities": abilities,
    }
