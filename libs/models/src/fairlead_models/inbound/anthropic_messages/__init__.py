"""The Anthropic Messages format as callers send it, and as they get their answers; both API versions are taken."""

from fairlead_models.inbound.anthropic_messages.format import FORMAT, AnthropicMessages
from fairlead_models.inbound.anthropic_messages.parsing import parse
from fairlead_models.inbound.anthropic_messages.rendering import render, render_error
from fairlead_models.inbound.anthropic_messages.streaming import StreamRenderer

__all__ = ["FORMAT", "AnthropicMessages", "StreamRenderer", "parse", "render", "render_error"]
