"""The inbound formats by the path on which the model API serves them."""

from fairlead_models.inbound import openai_chat
from fairlead_models.inbound.protocol import InboundFormat

FORMATS: dict[str, InboundFormat] = {
    "/v1/chat/completions": openai_chat.FORMAT,
}
