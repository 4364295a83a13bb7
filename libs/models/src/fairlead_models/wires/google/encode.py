"""From a unified request to a generateContent body."""

from typing import Any

from fairlead_models.catalog.profiles import Profile
from fairlead_models.unified import ChatRequest, Unhonoured
from fairlead_models.wires import fitting
from fairlead_models.wires.google.contents import contents_of

NOT_OFFERED = {
    "user": "not offered by the Gemini API",
}
MOST_STOPS = 5
MOST_LOGPROBS = 20


def generate_body(request: ChatRequest, profile: Profile) -> tuple[dict[str, Any], list[Unhonoured]]:
    """(body, warnings).

    Raises:
        ProviderError: UNSUPPORTED.
    """
    warnings = fitting.extras(request) + fitting.left_out(request, NOT_OFFERED) + fitting.no_prefill(request)
    warnings += fitting.foreign_thoughts(request.messages, "google")
    system, conversation = fitting.split_system(request.messages, warnings, anywhere=False)
    body: dict[str, Any] = {"contents": contents_of(conversation, sealed=profile.sealed_calls)}
    if told := [text for message in system if (text := message.text())]:
        body["systemInstruction"] = {"parts": [{"text": text} for text in told]}
    if request.parallel_tool_calls is False and request.tools:
        warnings.append(Unhonoured("parallel_tool_calls", "the Gemini API decides by itself"))
    _tools(request, body)
    config = _sampling(request, profile, warnings)
    _format(request, config)
    _thinking(request, profile, config, warnings)
    if config:
        body["generationConfig"] = config
    _details(request, warnings)
    return body, warnings


def _tools(request: ChatRequest, body: dict[str, Any]) -> None:
    if not request.tools:
        return
    declarations = [
        {
            "name": tool.name,
            **({"description": tool.description} if tool.description is not None else {}),
            **({"parametersJsonSchema": tool.parameters} if tool.parameters is not None else {}),
        }
        for tool in request.tools
    ]
    body["tools"] = [{"functionDeclarations": declarations}]
    choice = request.tool_choice
    mode = "AUTO" if choice is None else {"auto": "AUTO", "none": "NONE"}.get(choice.mode, "ANY")
    if mode == "AUTO" and any(tool.strict for tool in request.tools):
        mode = "VALIDATED"
    if choice is None and mode == "AUTO":
        return
    config: dict[str, Any] = {"mode": mode}
    if choice is not None and choice.mode == "function":
        config["allowedFunctionNames"] = [choice.name]
    body["toolConfig"] = {"functionCallingConfig": config}


def _sampling(request: ChatRequest, profile: Profile, warnings: list[Unhonoured]) -> dict[str, Any]:
    logprobs = request.top_logprobs if request.logprobs else None
    simple = {
        "maxOutputTokens": fitting.output_limit(request, profile, warnings),
        "temperature": request.temperature,
        "topP": request.top_p,
        "topK": request.top_k,
        "stopSequences": fitting.stops(request, MOST_STOPS, warnings) or None,
        "seed": request.seed,
        "candidateCount": request.n,
        "frequencyPenalty": request.frequency_penalty,
        "presencePenalty": request.presence_penalty,
        "responseLogprobs": request.logprobs or None,
        "logprobs": None if logprobs is None else min(logprobs, MOST_LOGPROBS),
    }
    return {name: value for name, value in simple.items() if value is not None}


def _format(request: ChatRequest, config: dict[str, Any]) -> None:
    wanted = request.response_format
    if wanted is None or wanted.kind == "text":
        return
    config["responseMimeType"] = "application/json"
    if wanted.kind == "json_schema":
        config["responseJsonSchema"] = wanted.schema or {}


def _thinking(
    request: ChatRequest, profile: Profile, config: dict[str, Any], warnings: list[Unhonoured]
) -> None:
    settings: dict[str, Any] = {}
    if profile.thinking == "budget":
        budget = _budget(request, profile, warnings)
        if budget is not None:
            settings["thinkingBudget"] = budget
    else:
        effort = fitting.effort_for(request, profile, warnings)
        if effort == "none":
            settings["thinkingBudget"] = 0
        elif effort is not None:
            settings["thinkingLevel"] = {"xhigh": "HIGH", "max": "HIGH"}.get(effort, effort.upper())
    if request.show_reasoning is not None:
        settings["includeThoughts"] = request.show_reasoning
    elif settings and settings.get("thinkingBudget") != 0:
        settings["includeThoughts"] = True
    if settings:
        config["thinkingConfig"] = settings


def _budget(request: ChatRequest, profile: Profile, warnings: list[Unhonoured]) -> int | None:
    budget = request.reasoning_budget_tokens
    if budget is None:
        effort = fitting.effort_for(request, profile, warnings)
        budget = None if effort is None else fitting.BUDGETS[effort]
    if budget == 0 and not profile.thinking_off:
        warnings.append(Unhonoured("reasoning_effort", "the model cannot be kept from thinking"))
        return fitting.BUDGETS["minimal"]
    return budget


def _details(request: ChatRequest, warnings: list[Unhonoured]) -> None:
    for message in request.messages:
        for part in message.parts():
            if getattr(part, "detail", None) in ("low", "high"):
                warnings.append(Unhonoured("image_url.detail", "not offered by this provider", note=True))
                return
