"""What a chat-completions history carries beyond the plain conversation: thoughts, where the endpoint wants them back."""

from typing import Any

from fairlead_models import seals
from fairlead_models.unified import ChatRequest, Message
from fairlead_models.wires.fitting import own_thoughts
from fairlead_models.wires.openai.dialects import Dialect

CARRIED = frozenset(("reasoning", "reasoning_content", "reasoning_details"))


def replay(found: dict[str, Any], message: Message, dialect: Dialect) -> dict[str, Any]:
    """``found`` with its role as the dialect knows it, and the thoughts in the dialect's own field or in none."""
    if found["role"] == "developer" and not dialect.developer_role:
        found = {**found, "role": "system"}
    if message.role != "assistant":
        return found
    if not found.keys().isdisjoint(CARRIED):
        found = {name: value for name, value in found.items() if name not in CARRIED}
    if any("extra_content" in call for call in found.get("tool_calls") or ()):
        found = {**found, "tool_calls": [_bare(call) for call in found["tool_calls"]]}
    if dialect.thoughts is None or not message.thoughts:
        return found
    thoughts = own_thoughts(message, dialect.name, plain=True)
    if dialect.thoughts == "reasoning_details":
        value: object = seals.details(thoughts)
    else:
        value = "".join(thought.text for thought in thoughts if thought.text)
    return {**found, dialect.thoughts: value} if value else found


def _bare(call: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in call.items() if name != "extra_content"}


def replayed(request: ChatRequest, raw: list[dict[str, Any]], dialect: Dialect) -> list[dict[str, Any]]:
    """The messages of a body that came in this format."""
    return [replay(found, message, dialect) for found, message in zip(raw, request.messages, strict=True)]
