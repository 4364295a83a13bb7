"""The record of one call while it runs: its attempts, and at its end the ``Call`` that is journalled.

Plain dictionaries in the JSON form of ``fairlead_common.events.calls``: this runs once per request.
"""

import time
from datetime import UTC, datetime
from typing import Any

from fairlead_common.decisions.plan import NoCapacity, Plan, RouteRequest, Step
from fairlead_common.decisions.record import record_of
from fairlead_common.ids import new_id
from fairlead_common.outcomes import CallState, ErrorClass
from fairlead_models.errors import ProviderError
from fairlead_models.inbound import openai_chat
from fairlead_models.inbound.protocol import InboundFormat
from fairlead_models.unified import FinishReason, Usage

MAX_TEXT = 200


class RunningCall:
    """Collects what happens to one request."""

    __slots__ = (
        "_began",
        "_in_attempts_ms",
        "attempts",
        "body",
        "call_id",
        "decided",
        "failover",
        "format",
        "model",
        "provider",
        "recorded",
        "ttft_ms",
        "usage",
        "wanted",
    )

    def __init__(self, api: str, format_: InboundFormat = openai_chat.FORMAT) -> None:
        self.format = format_
        self.call_id = new_id()
        self._began = time.perf_counter()
        self._in_attempts_ms = 0.0
        self.attempts: list[dict[str, Any]] = []
        self.wanted: RouteRequest | None = None
        self.decided: Plan | NoCapacity | None = None
        self.provider: str | None = None
        self.model: str | None = None
        self.failover = False
        self.ttft_ms: float | None = None
        self.usage: Usage | None = None
        self.recorded = False
        self.body: dict[str, Any] = {
            "call_id": self.call_id,
            "kind": "live",
            "api": api,
            "requested_model": "",
            "stream": False,
            "started_at": datetime.now(UTC),
        }

    def asked(self, model: str, *, stream: bool) -> None:
        """What the caller wants."""
        self.body["requested_model"] = model[:MAX_TEXT]
        self.body["stream"] = stream

    @property
    def plan(self) -> Plan | None:
        """The first plan, if there was one."""
        return self.decided if isinstance(self.decided, Plan) else None

    @property
    def elapsed_ms(self) -> float:
        """Since the request arrived."""
        return (time.perf_counter() - self._began) * 1000

    def begin_attempt(self, step: Step) -> dict[str, Any]:
        """A target is tried."""
        attempt: dict[str, Any] = {
            "provider": step.target.provider,
            "model": step.target.model,
            "offset_ms": round(self.elapsed_ms, 3),
            "duration_ms": 0.0,
            "reason": step.reason.value,
        }
        self.attempts.append(attempt)
        return attempt

    def first_token(self, attempt: dict[str, Any]) -> None:
        """The attempt has given the first token of the answer."""
        self.ttft_ms = round(self.elapsed_ms, 3)
        attempt["ttft_ms"] = round(self.ttft_ms - attempt["offset_ms"], 3)

    def end_attempt(self, attempt: dict[str, Any]) -> None:
        """The target answered completely, or failed."""
        attempt["duration_ms"] = round(self.elapsed_ms - attempt["offset_ms"], 3)
        self._in_attempts_ms += attempt["duration_ms"]

    def served(
        self,
        attempt: dict[str, Any],
        usage: Usage,
        cost_usd: float | None,
        finish: FinishReason | None,
        status: int,
        request_id: str | None,
    ) -> None:
        """The attempt gave the answer."""
        self.end_attempt(attempt)
        self.usage = usage
        attempt["status"] = status
        attempt["provider_request_id"] = _short(request_id)
        attempt["cost_usd"] = cost_usd
        attempt["input_tokens"] = usage.input_tokens
        attempt["output_tokens"] = usage.output_tokens
        attempt["cached_input_tokens"] = usage.cached_input_tokens
        attempt["reasoning_tokens"] = usage.reasoning_tokens
        attempt["finish_reason"] = finish.value if finish else None

    def failed(self, attempt: dict[str, Any], error: ProviderError) -> None:
        """The attempt failed."""
        self.end_attempt(attempt)
        attempt["error_class"] = error.error_class.value
        attempt["status"] = error.status
        attempt["retry_after_s"] = error.retry_after_s
        attempt["provider_request_id"] = _short(error.provider_request_id)

    def abandoned(self, attempt: dict[str, Any]) -> None:
        """The caller left during the attempt."""
        self.end_attempt(attempt)
        attempt["error_class"] = ErrorClass.CALLER_GONE.value

    def answering(self, step: Step) -> None:
        """This target's answer is what the caller gets."""
        self.provider, self.model = step.target
        self.failover = len(self.attempts) > 1

    def finish(self, state: CallState, status: int, error_code: str | None = None) -> dict[str, Any]:
        """The call as it is journalled."""
        total = self.elapsed_ms
        usage = self.usage or Usage()
        last = self.attempts[-1] if self.attempts else {}
        plan = self.plan
        self.recorded = True
        self.body.update(
            state=state.value,
            status=status,
            provider=self.provider,
            model=self.model,
            rule=plan.rule if plan else None,
            table_version=plan.table_version if plan else None,
            failover=self.failover,
            duration_ms=round(total, 3),
            ttft_ms=self.ttft_ms,
            overhead_ms=round(max(0.0, total - self._in_attempts_ms), 3),
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_input_tokens=usage.cached_input_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            cost_usd=last.get("cost_usd"),
            attempts=self.attempts,
            error_code=_short(error_code),
            decision=record_of(self.decided, self.wanted) if self.decided and self.wanted else None,
        )
        return self.body


def _short(text: str | None) -> str | None:
    """What others wrote, short enough for a row."""
    return text if text is None else text[:MAX_TEXT]
