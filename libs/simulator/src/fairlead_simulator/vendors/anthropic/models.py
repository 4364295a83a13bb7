"""The models of the simulated Anthropic, and what each of them takes.

``adaptive`` and ``budget`` are the two ways to think; ``prefill`` = the last turn may be the assistant's; ``sampling`` =
temperature and the like may differ from their defaults (in the old version of the API); ``omits`` = thoughts are shown only
when the request says ``display: summarized``.
"""

from typing import Any

from fairlead_simulator.ask import Thinking
from fairlead_simulator.checks import Flaw, check, integer, need, one_of
from fairlead_simulator.vendors.vendor import Model, Refused

EFFORTS = {"low": 16, "medium": 48, "high": 96, "xhigh": 160, "max": 256}
"""Tokens of thought for each effort."""
THINKING = ("adaptive", "between_tools", "disabled", "enabled")
CLAUDE_5 = frozenset(["adaptive", "omits"])
CLAUDE_46 = frozenset(["adaptive", "budget", "sampling"])
CLAUDE_45 = frozenset(["budget", "sampling", "prefill"])
ALL = tuple(EFFORTS)

MODELS = {
    model.id: model
    for model in (
        Model("claude-opus-5-5", "Claude Opus 5.5", 1_000_000, 128_000, "opus", ALL, "high", traits=CLAUDE_5),
        Model(
            "claude-sonnet-5-5",
            "Claude Sonnet 5.5",
            1_000_000,
            128_000,
            "sonnet",
            ALL,
            "high",
            traits=CLAUDE_5,
        ),
        Model(
            "claude-haiku-5-5", "Claude Haiku 5.5", 1_000_000, 128_000, "haiku", ALL, "high", traits=CLAUDE_5
        ),
        Model(
            "claude-sonnet-4-6", "Claude Sonnet 4.6", 200_000, 64_000, "sonnet", ALL, "high", traits=CLAUDE_46
        ),
        Model("claude-haiku-4-5", "Claude Haiku 4.5", 200_000, 64_000, "haiku", traits=CLAUDE_45),
    )
}


def found(name: Any) -> Model:
    """The model. Raises Refused with 404."""
    model = MODELS.get(name)
    if model is None:
        raise Refused(404, f"model: {name}", kind="not_found_error")
    return model


def refused(message: str) -> Refused:
    """A refusal of a request, with 400."""
    return Refused(400, message, kind="invalid_request_error")


def thinking(model: Model, body: dict[str, Any], max_tokens: int) -> Thinking | None:
    """How the model thinks. Raises Flaw, and Refused when it cannot think in this way."""
    effort = (body.get("output_config") or {}).get("effort")
    if effort is not None and not model.efforts:
        raise refused("This model does not support the effort parameter.")
    config = body.get("thinking")
    if config is None:
        return None
    rules = {
        "type": one_of(*THINKING),
        "budget_tokens": integer(1024),
        "display": one_of("summarized", "omitted"),
    }
    need(config, "type", path=("thinking",))
    check(config, rules, ("thinking",))
    kind = config["type"]
    shown = config.get("display", "omitted" if "omits" in model.traits else "summarized") == "summarized"
    if kind == "adaptive":
        if "adaptive" not in model.traits:
            raise refused("adaptive thinking is not supported on this model")
        return Thinking(EFFORTS[effort or model.default_effort], asked=False, shown=shown)
    if kind == "enabled":
        return Thinking(_budget(model, config, max_tokens), asked=False, shown=shown)
    return None


def _budget(model: Model, config: dict[str, Any], max_tokens: int) -> int:
    if "budget" not in model.traits:
        raise refused(
            '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and'
            ' "output_config.effort" to control thinking behavior.'
        )
    if config.get("budget_tokens") is None:
        raise Flaw("missing", ("thinking", "enabled", "budget_tokens"))
    if config["budget_tokens"] >= max_tokens:
        raise refused("`max_tokens` must be greater than `thinking.budget_tokens`.")
    return min(int(config["budget_tokens"]) // 16, 256)


def check_sampling(model: Model, body: dict[str, Any], thinks: Thinking | None) -> None:
    """Raise Refused for sampling parameters that the model does not take (version 2023-06-01)."""
    given = {name: body[name] for name in ("temperature", "top_p", "top_k") if body.get(name) is not None}
    if "sampling" not in model.traits:
        defaults = {"temperature": 1, "top_p": 1}
        for name, value in given.items():
            if value != defaults.get(name):
                raise refused(f"`{name}` is deprecated for this model.")
    if "temperature" in given and "top_p" in given:
        raise refused(
            "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
        )
    if thinks is not None and given.get("temperature", 1) != 1:
        raise refused("`temperature` may only be set to 1 when thinking is enabled.")


def card(model: Model) -> dict[str, Any]:
    """The model in the list of models."""
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.name,
        "created_at": "2026-06-01T00:00:00Z",
        "lifecycle": "active",
        "line": model.family,
        "deprecated_at": None,
        "retires_at": None,
        "max_input_tokens": model.context,
        "max_tokens": model.output,
        "capabilities": _capabilities(model),
    }


def _capabilities(model: Model) -> dict[str, Any]:
    yes, no = {"supported": True}, {"supported": False}
    efforts = {name: {"supported": name in model.efforts} for name in EFFORTS}
    types = {
        "adaptive": {"supported": "adaptive" in model.traits},
        "between_tools": no,
        "disabled": yes,
        "enabled": {"supported": "budget" in model.traits},
    }
    return {
        "batch": no,
        "citations": no,
        "code_execution": no,
        "context_management": no,
        "effort": {"supported": bool(model.efforts), **efforts},
        "image_input": yes,
        "pdf_input": no,
        "server_tools": {"supported": False, "code_execution": no, "web_search": no},
        "structured_outputs": yes,
        "thinking": {"supported": True, "types": types},
    }
