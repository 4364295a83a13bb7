"""When a request to OpenAI must go to the Responses API: some models reason with tools only there."""

from fairlead_models.catalog.profiles import Profile
from fairlead_models.unified import ChatRequest, Format


def wants_responses(request: ChatRequest, profile: Profile) -> bool:
    """True when the chat-completions endpoint would refuse the request, or would lose what came in this format."""
    if request.raw_in(Format.OPENAI_RESPONSES) is not None or profile.api == "responses":
        return True
    if not request.tools or request.reasoning_effort == "none":
        return False
    if profile.api == "responses_with_tools":
        return True
    asked = request.reasoning_effort is not None or request.reasoning_budget_tokens is not None
    return profile.api == "responses_with_effort" and asked
