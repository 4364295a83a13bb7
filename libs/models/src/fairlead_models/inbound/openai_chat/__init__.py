"""The OpenAI chat-completions format as callers send it, and as they get their answers."""

from fairlead_models.inbound.openai_chat.format import FORMAT, OpenAIChat
from fairlead_models.inbound.openai_chat.parsing import parse
from fairlead_models.inbound.openai_chat.rendering import render, render_error, usage_body
from fairlead_models.inbound.openai_chat.streaming import StreamRenderer

__all__ = ["FORMAT", "OpenAIChat", "StreamRenderer", "parse", "render", "render_error", "usage_body"]
