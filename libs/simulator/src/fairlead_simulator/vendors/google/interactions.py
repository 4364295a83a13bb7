"""Gemini's Interactions API, as far as it needs no stored state: one question, one answer, not streamed."""

import re
from datetime import UTC, datetime
from typing import Any

from fairlead_simulator.answers import Answer
from fairlead_simulator.ask import Ask, Turn
from fairlead_simulator.checks import ANY, FLAG, LIST, TABLE, TEXT, check, need, tables
from fairlead_simulator.vendors.google import models
from fairlead_simulator.vendors.google.models import refused
from fairlead_simulator.vendors.vendor import JSON, Chat, Frames, Refused, dumps

PATH = re.compile(r"/v1(?:alpha|beta)?/interactions")
RULES = {
    "model": TEXT,
    "agent": TEXT,
    "input": ANY,
    "system_instruction": TEXT,
    "generation_config": TABLE,
    "tools": LIST,
    "response_format": ANY,
    "response_mime_type": TEXT,
    "response_modalities": LIST,
    "stream": FLAG,
    "store": FLAG,
    "background": FLAG,
    "previous_interaction_id": TEXT,
}


def read(body: dict[str, Any]) -> Chat:
    """The interaction in ``body``. Raises Flaw and Refused."""
    need(body, "model", "input")
    check(body, RULES)
    for name in ("stream", "background", "previous_interaction_id", "agent", "tools"):
        if body.get(name):
            raise refused(f"'{name}' is not simulated for interactions; use generateContent.")
    model = models.found(str(body["model"]), "v1", "generateContent")
    given = body["input"]
    texts = (
        [given]
        if isinstance(given, str)
        else [str(each.get("text") or "") for each in tables(given, ("input",))]
    )
    ask = Ask(
        model.id,
        [Turn("user", list(texts))],
        body.get("system_instruction") or "",
        context_window=model.context,
    )
    ask.max_tokens = (body.get("generation_config") or {}).get("max_output_tokens")
    return Chat(ask, InteractionWriter())


def error_of(refusal: Refused) -> dict[str, Any]:
    """The error body, whose code is a lower-case word here."""
    return {"error": {"code": refusal.kind.lower(), "message": refusal.message}}


class InteractionWriter:
    """Writes ``interaction`` objects."""

    media = JSON

    def whole(self, ask: Ask, answer: Answer) -> bytes:
        """See ``Writer.whole``."""
        at = datetime.fromtimestamp(answer.made_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        content = [{"type": "text", "text": "" if answer.blocked else answer.first.text}]
        usage = {
            "total_input_tokens": answer.usage.input,
            "total_output_tokens": answer.usage.output,
            "total_tokens": answer.usage.total,
        }
        found = {
            "id": f"v1_{answer.id}",
            "object": "interaction",
            "model": ask.model,
            "status": "completed",
            "role": "model",
            "created": at,
            "updated": at,
            "steps": [{"type": "model_output", "content": content}],
            "outputs": content,
            "usage": usage,
        }
        return dumps(found)

    def frames(self, ask: Ask, answer: Answer) -> Frames:
        """See ``Writer.frames``: an interaction is never streamed here, so this is the whole answer."""
        return Frames([], [self.whole(ask, answer)], [])

    def error_frame(self) -> bytes:
        """See ``Writer.error_frame``."""
        return b""

    def strange_frame(self) -> bytes:
        """See ``Writer.strange_frame``."""
        return b""
