"""When a request to OpenAI must go to the Responses API: some models reason with tools only there."""

from fairlead_models.catalog.profiles import Profile
from fairlead_models.unified import ChatRequest, Format


def wants_responses(request: ChatRequest, profile: Profile) -> bool:
    """True when the chat-completions endpoint would refuse the request, or would lose what came in this format."""
    if request.raw_in(Format.OPENAI_RESPONSES) is not None or profile.api == "responses":
        return True
    if profile.api != "responses_with_tools" or not request.tools:
        return False
    if request.reasoning_effort is None and request.reasoning_budget_tokens is not None:
        return request.reasoning_budget_tokens > 0
    return (request.reasoning_effort or profile.reasoning_default or "medium") != "none"
