"""The inbound formats by the path on which the model API serves them."""

from fairlead_models.inbound import anthropic_messages, openai_chat, openai_responses
from fairlead_models.inbound.protocol import InboundFormat

FORMATS: dict[str, InboundFormat] = {
    "/v1/chat/completions": openai_chat.FORMAT,
    "/v1/messages": anthropic_messages.FORMAT,
    "/v1/responses": openai_responses.FORMAT,
}
