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
        "_billed",
        "attempts",
        "body",
        "call_id",
        "continued",
        "decided",
        "drill",
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
        self._billed: list[float | None] = []
        """Cost of each attempt that billed, in USD; None = unknown."""
        self.attempts: list[dict[str, Any]] = []
        self.wanted: RouteRequest | None = None
        self.decided: Plan | NoCapacity | None = None
        self.drill: str | None = None
        """The drill that has struck an attempt of this call."""
        self.provider: str | None = None
        self.model: str | None = None
        self.failover = False
        self.continued = 0
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

    def struck(self, drill_id: str) -> None:
        """A drill spoils an attempt: the call says nothing about how providers compare."""
        self.drill = drill_id
        self.body["kind"] = "drill"

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
        now_ms = round(self.elapsed_ms, 3)
        if self.ttft_ms is None:
            self.ttft_ms = now_ms
        attempt["ttft_ms"] = round(now_ms - attempt["offset_ms"], 3)

    def end_attempt(self, attempt: dict[str, Any]) -> None:
        """The target answered completely, or failed."""
        attempt["duration_ms"] = round(self.elapsed_ms - attempt["offset_ms"], 3)

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
        self.gave(attempt, usage, cost_usd)
        attempt["status"] = status
        attempt["provider_request_id"] = _short(request_id)
        attempt["finish_reason"] = finish.value if finish else None

    def gave(
        self, attempt: dict[str, Any], usage: Usage, cost_usd: float | None, *, estimated: bool = False
    ) -> None:
        """The attempt gave a part of the answer, mostly all of it, for so much."""
        self.usage = usage if self.usage is None else _sum(self.usage, usage)
        self.billed(attempt, usage, cost_usd, estimated=estimated)

    def billed(
        self, attempt: dict[str, Any], usage: Usage, cost_usd: float | None, *, estimated: bool
    ) -> None:
        """The attempt costs so much, whether or not anything of it reached the caller."""
        self._billed.append(cost_usd)
        attempt["cost_usd"] = cost_usd
        attempt["input_tokens"] = usage.input_tokens
        attempt["output_tokens"] = usage.output_tokens
        attempt["cached_input_tokens"] = usage.cached_input_tokens
        attempt["reasoning_tokens"] = usage.reasoning_tokens
        if estimated:
            attempt["estimated"] = True

    @property
    def cost_usd(self) -> float | None:
        """Of all attempts that billed; None = nothing did, or unknown of one of them."""
        known = [cost for cost in self._billed if cost is not None]
        return sum(known) if known and len(known) == len(self._billed) else None

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
        first = self.attempts[0]
        self.failover = step.target != (first["provider"], first["model"])

    def finish(self, state: CallState, status: int, error_code: str | None = None) -> dict[str, Any]:
        """The call as it is journalled."""
        total = self.elapsed_ms
        usage = self.usage or Usage()
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
            continued=self.continued,
            duration_ms=round(total, 3),
            ttft_ms=self.ttft_ms,
            overhead_ms=round(max(0.0, total - _covered_ms(self.attempts)), 3),
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_input_tokens=usage.cached_input_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            cost_usd=self.cost_usd,
            attempts=self.attempts,
            error_code=_short(error_code),
            decision=record_of(self.decided, self.wanted) if self.decided and self.wanted else None,
        )
        return self.body


def _covered_ms(attempts: list[dict[str, Any]]) -> float:
    """Time in which at least one attempt ran; they are in the order of their beginnings."""
    covered = until = 0.0
    for each in attempts:
        begin, end = each["offset_ms"], each["offset_ms"] + each["duration_ms"]
        if end > until:
            covered += end - max(begin, until)
            until = end
    return covered


def _sum(one: Usage, other: Usage) -> Usage:
    """Of two parts of an answer, token by token."""
    return Usage(
        _added(one.input_tokens, other.input_tokens),
        _added(one.output_tokens, other.output_tokens),
        _added(one.cached_input_tokens, other.cached_input_tokens),
        _added(one.cache_write_tokens, other.cache_write_tokens),
        _added(one.reasoning_tokens, other.reasoning_tokens),
    )


def _added(one: int | None, other: int | None) -> int | None:
    """Unknown only where both are."""
    return None if one is None and other is None else (one or 0) + (other or 0)


def _short(text: str | None) -> str | None:
    """What others wrote, short enough for a row."""
    return text if text is None else text[:MAX_TEXT]
