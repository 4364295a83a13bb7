"""The Mistral format: OpenAI's with nine-character ids, and its own errors and model list."""

import re
from typing import Any

from fairlead_simulator.answers import Answer, Ask
from fairlead_simulator.server import Request
from fairlead_simulator.vendors.openai import CREATED, OpenAI
from fairlead_simulator.vendors.vendor import (
    JSON,
    STATUS,
    BadRequest,
    Failure,
    Frames,
    data,
    dumps,
    retry_headers,
)

ID = re.compile(r"[A-Za-z0-9]{9}")


class Mistral(OpenAI):
    """``/v1/chat/completions`` and ``/v1/models``."""

    name = "mistral"
    models = ("mistral-large-4", "mistral-medium-3-5", "mistral-small-2603", "ministral-8b-2512")

    def ask(self, body: dict[str, Any]) -> Ask:
        """See ``OpenAI.ask``; refuses what Mistral refuses."""
        for message in body.get("messages") or ():
            ids = [call.get("id") for call in message.get("tool_calls") or ()] + [message.get("tool_call_id")]
            for each in ids:
                if each is not None and not ID.fullmatch(str(each)):
                    raise BadRequest(
                        f"Tool call id was {each} but must be a-z, A-Z, 0-9, with a length of 9."
                    )
        found = super().ask(body)
        found.include_usage = True
        return found

    def calls(self, answer: Answer) -> list[dict[str, Any]]:
        """See ``OpenAI.calls``."""
        _shorten(answer)
        return super().calls(answer)

    def frames(self, ask: Ask, answer: Answer) -> Frames:
        """See ``Vendor.frames``: usage comes with the last chunk."""
        _shorten(answer)
        return super().frames(ask, answer)

    def whole(self, ask: Ask, answer: Answer) -> bytes:
        """See ``Vendor.whole``."""
        if answer.finish == "refusal":
            answer.finish = "stop"
        message: dict[str, Any] = {
            "role": "assistant",
            "content": answer.text,
            "tool_calls": None,
            "prefix": False,
        }
        if answer.calls:
            message["tool_calls"] = self.calls(answer)
        finish = "tool_calls" if answer.calls else answer.finish
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return dumps(
            {
                "id": answer.id,
                "object": "chat.completion",
                "created": CREATED,
                "model": ask.model,
                "choices": [choice],
                "usage": self.usage(answer),
            }
        )

    def usage(self, answer: Answer) -> dict[str, Any]:
        """The usage object."""
        return {
            "prompt_tokens": answer.input_tokens,
            "completion_tokens": answer.output_tokens,
            "total_tokens": answer.input_tokens + answer.output_tokens,
        }

    def listing(self) -> bytes:
        """See ``Vendor.listing``."""
        abilities = {
            "completion_chat": True,
            "completion_fim": False,
            "function_calling": True,
            "fine_tuning": False,
            "vision": True,
            "classification": False,
        }
        rows = [
            {
                "id": model,
                "object": "model",
                "created": CREATED,
                "owned_by": "mistralai",
                "type": "base",
                "capabilities": abilities,
                "max_context_length": 262144,
            }
            for model in self.models
        ]
        return dumps({"object": "list", "data": rows})

    def failure(self, kind: str, message: str, retry_after_s: float | None) -> Failure:
        """See ``Vendor.failure``."""
        if kind == "auth":
            return Failure(401, JSON, dumps({"detail": "Unauthorized"}))
        status = 402 if kind == "quota_exhausted" else STATUS[kind]
        body = {"object": "error", "message": message, "type": kind, "param": None, "code": str(status * 10)}
        retry = retry_headers(retry_after_s) if kind == "rate_limited" else {}
        return Failure(status, {**JSON, **retry}, dumps(body))

    def stream_error(self) -> bytes:
        """See ``Vendor.stream_error``."""
        return data(
            {
                "error": {
                    "object": "error",
                    "message": "Internal server error",
                    "type": "internal_error",
                    "code": "3000",
                }
            }
        )

    def headers(self, answer_id: str) -> dict[str, str]:
        """See ``Vendor.headers``."""
        return {"mistral-correlation-id": answer_id, "x-kong-request-id": answer_id}

    def key(self, request: Request) -> str | None:
        """See ``Vendor.key``."""
        return super().key(request)


def _shorten(answer: Answer) -> None:
    for i, call in enumerate(answer.calls):
        call.id = f"{answer.id[:8]}{i}"
