"""What every answer of the model API carries: the headers that say who served it, and errors in the caller's format."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fairlead_common.decisions.plan import Step
from fairlead_models.errors import InvalidRequest
from fairlead_models.inbound import openai_chat
from fairlead_models.inbound.protocol import InboundFormat
from fairlead_models.unified import Unhonoured

from fairlead_edge.dataplane.calls import RunningCall
from fairlead_edge.http.messages import Request, ResponseWriter

JSON_HEADERS = {"content-type": "application/json"}
MAX_HEADER = 2000


class NoAnswer(Exception):
    """The request ends with this error."""

    def __init__(
        self,
        status: int,
        code: str | None,
        message: str,
        retry_after_s: float | None = None,
        param: str | None = None,
        allow: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s
        self.param = param
        self.allow = allow

    def headers(self) -> dict[str, str]:
        """Headers that belong to the error."""
        found = {}
        if self.retry_after_s is not None:
            found["retry-after"] = str(max(1, math.ceil(self.retry_after_s)))
        if self.allow is not None:
            found["allow"] = self.allow
        return found


def error_of(error: InvalidRequest) -> NoAnswer:
    """The caller's own mistake as an answer."""
    return NoAnswer(error.status, error.code, error.message, None, error.param)


def wrong_method(request: Request, right: str) -> NoAnswer:
    """The path is there, and answers another method."""
    text = f"{request.path} does not answer {request.method}; use {right}."
    return NoAnswer(405, "method_not_allowed", text, allow=right)


def refuse(writer: ResponseWriter, call: RunningCall | None, error: NoAnswer) -> None:
    """Send the error, unless an answer has begun already."""
    if writer.started:
        writer.abort()
        return
    headers = {**JSON_HEADERS, **error.headers()}
    format_: InboundFormat = openai_chat.FORMAT if call is None else call.format
    if call is not None:
        headers["x-request-id"] = call.call_id
        if call.attempts:
            headers["x-fairlead-attempts"] = str(len(call.attempts))
        if call.drill is not None:
            headers["x-fairlead-drill"] = call.drill
    body = format_.render_error(error.status, error.message, code=error.code, param=error.param)
    writer.send(error.status, headers, body)


@dataclass(frozen=True, slots=True)
class ServedBy:
    """Who answered, and at what cost."""

    call: RunningCall
    step: Step
    warnings: Sequence[Unhonoured]
    cost_usd: float | None

    def headers(self, content_type: str) -> dict[str, str]:
        """The answer's headers."""
        call, target = self.call, self.step.target
        found = {
            "content-type": content_type,
            "x-request-id": call.call_id,
            "x-fairlead-provider": target.provider,
            "x-fairlead-model": one_line(target.model),
            "x-fairlead-attempts": str(len(call.attempts)),
        }
        if call.plan is not None and call.plan.rule is not None:
            found["x-fairlead-rule"] = one_line(call.plan.rule)
        if call.drill is not None:
            found["x-fairlead-drill"] = call.drill
        if self.cost_usd is not None:
            found["x-fairlead-cost-usd"] = f"{self.cost_usd:.9f}".rstrip("0")
        if self.warnings:
            found["x-fairlead-warnings"] = one_line("; ".join(str(each) for each in self.warnings))
        if content_type.startswith("text/event-stream"):
            found["cache-control"] = "no-cache"
        return found


def one_line(text: str) -> str:
    """``text`` as the value of a header; callers and operators write what they like."""
    return text.replace("\r", " ").replace("\n", " ")[:MAX_HEADER]
