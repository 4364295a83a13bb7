"""The models of the simulated Cohere, and how they think."""

from typing import Any

from fairlead_simulator.ask import Thinking
from fairlead_simulator.checks import check, integer, need, one_of
from fairlead_simulator.vendors.vendor import Model, Refused

BY_ITSELF = 48
RULES = {"type": one_of("enabled", "disabled"), "token_budget": integer(1)}
CHAT = frozenset(["chat"])

MODELS = {
    model.id: model
    for model in (
        Model("command-a-03-2025", "", 256_000, 8_000, traits=CHAT),
        Model("command-a-reasoning-08-2025", "", 256_000, 32_000, traits=CHAT | {"thinks"}),
        Model("command-a-vision-07-2025", "", 128_000, 8_000, traits=CHAT),
        Model("command-r-08-2024", "", 128_000, 4_000, traits=CHAT),
        Model("command-r7b-12-2024", "", 128_000, 4_000, traits=CHAT),
        Model("embed-v4.0", "", 128_000, 0, dimensions=1536, traits=frozenset(["embed"])),
        Model("rerank-v4.0-pro", "", 32_768, 0, traits=frozenset(["rerank"])),
    )
}


def found(name: Any, endpoint: str) -> Model:
    """The model, if it serves this endpoint. Raises Refused."""
    model = MODELS.get(name)
    if model is None:
        message = "make sure the correct model ID was used and that you have access to the model."
        raise Refused(404, f"model '{name}' not found, {message}")
    if endpoint not in model.traits:
        raise Refused(400, f"model '{name}' is not supported by the {endpoint} API")
    return model


def thinking(model: Model, config: dict[str, Any] | None) -> Thinking | None:
    """How the model thinks. Raises Flaw."""
    if config is None:
        return Thinking(BY_ITSELF, asked=False) if "thinks" in model.traits else None
    need(config, "type", path=("thinking",))
    check(config, RULES, ("thinking",))
    if config["type"] == "disabled":
        return None
    budget = config.get("token_budget")
    return Thinking(BY_ITSELF if budget is None else min(int(budget), max(8, int(budget) // 32), 256))


def card(model: Model) -> dict[str, Any]:
    """The model in the list of models."""
    chats = "chat" in model.traits
    features = ["json_mode", "json_schema", "safety_modes", "strict_tools", "tools"] if chats else []
    if chats and "vision" in model.id:
        features.append("vision")
    if "thinks" in model.traits:
        features.append("reasoning")
    return {
        "name": model.id,
        "is_deprecated": False,
        "endpoints": sorted(model.traits - {"thinks"}),
        "finetuned": False,
        "context_length": model.context,
        "tokenizer_url": f"https://storage.googleapis.com/cohere-public/tokenizers/{model.id}.json",
        "default_endpoints": [],
        "features": features,
        "sampling_defaults": {"temperature": 0.3, "k": 0, "p": 0.75} if chats else None,
    }
