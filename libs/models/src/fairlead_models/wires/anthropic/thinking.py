"""How a Claude model is told to think: adaptively with an effort, or with a budget of tokens, or not at all."""

from typing import Any

from fairlead_models.catalog.profiles import Profile
from fairlead_models.unified import ChatRequest, Format, Unhonoured
from fairlead_models.wires import fitting

LEAST_BUDGET = 1024


def thinking(
    body: dict[str, Any], request: ChatRequest, profile: Profile, warnings: list[Unhonoured]
) -> bool:
    """Write the settings into ``body``; True when the model is told to think."""
    if request.raw_in(Format.ANTHROPIC_MESSAGES) is not None:
        _as_it_came(body, request, profile, warnings)
    elif profile.thinking == "budget":
        _by_budget(body, request, profile, warnings)
    else:
        _adaptive(body, request, profile, warnings)
    settings = body.get("thinking")
    thinks = isinstance(settings, dict) and settings.get("type") in ("adaptive", "enabled")
    if thinks and request.tool_choice is not None and request.tool_choice.forced:
        del body["thinking"]
        warnings.append(
            Unhonoured("reasoning_effort", "the model cannot think when it is made to call a tool")
        )
        return False
    return thinks


def _as_it_came(
    body: dict[str, Any], request: ChatRequest, profile: Profile, warnings: list[Unhonoured]
) -> None:
    """Settings in Anthropic's own words; only what the model has no more is replaced."""
    settings = body.get("thinking")
    kind = settings.get("type") if isinstance(settings, dict) else None
    if kind == "enabled" and profile.thinking == "adaptive":
        del body["thinking"]
        _adaptive(body, request, profile, warnings)
    elif kind == "adaptive" and profile.thinking == "budget":
        del body["thinking"]
        _by_budget(body, request, profile, warnings)
    elif kind == "disabled" and not profile.thinking_off:
        del body["thinking"]
        warnings.append(Unhonoured("thinking", "the model cannot be kept from thinking"))


def _adaptive(
    body: dict[str, Any], request: ChatRequest, profile: Profile, warnings: list[Unhonoured]
) -> None:
    if request.reasoning_effort == "none" or request.reasoning_budget_tokens == 0:
        if profile.thinking_off:
            body["thinking"] = {"type": "disabled"}
        else:
            warnings.append(Unhonoured("reasoning_effort", "the model cannot be kept from thinking"))
            _effort(body, "low")
        return
    effort = fitting.effort_for(request, profile, warnings)
    if effort is None:
        return
    if effort in ("none", "minimal"):
        warnings.append(Unhonoured("reasoning_effort", f"'{effort}' is not offered here; sent as 'low'"))
        effort = "low"
    body["thinking"] = {"type": "adaptive"}
    if request.show_reasoning is not None:
        body["thinking"]["display"] = "summarized" if request.show_reasoning else "omitted"
    _effort(body, effort)


def _effort(body: dict[str, Any], effort: str) -> None:
    body["output_config"] = {**(body.get("output_config") or {}), "effort": effort}


def _by_budget(
    body: dict[str, Any], request: ChatRequest, profile: Profile, warnings: list[Unhonoured]
) -> None:
    budget = request.reasoning_budget_tokens
    if budget is None and request.reasoning_effort is not None:
        effort = fitting.effort_for(request, profile, warnings)
        if effort is None:
            return
        budget = fitting.BUDGETS[effort]
        if profile.reasoning_efforts:
            _effort(body, effort)
    if budget is None:
        return
    if budget == 0:
        body["thinking"] = {"type": "disabled"}
        return
    room = body["max_tokens"] - 1
    if room < LEAST_BUDGET:
        why = f"max_tokens leaves less than the {LEAST_BUDGET} tokens that thinking takes here"
        warnings.append(Unhonoured("reasoning_effort", why))
        return
    settled = min(max(budget, LEAST_BUDGET), room)
    if settled != budget and request.reasoning_budget_tokens is not None:
        warnings.append(Unhonoured("thinking.budget_tokens", f"{budget} is sent as {settled}"))
    body["thinking"] = {"type": "enabled", "budget_tokens": settled}
