"""The OpenAI Responses format as callers send it, and as they get their answers: its stateless part."""

from fairlead_models.inbound.openai_responses.format import FORMAT, OpenAIResponses
from fairlead_models.inbound.openai_responses.parsing import parse
from fairlead_models.inbound.openai_responses.rendering import render
from fairlead_models.inbound.openai_responses.streaming import StreamRenderer

__all__ = ["FORMAT", "OpenAIResponses", "StreamRenderer", "parse", "render"]
