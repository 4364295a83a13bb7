"""One span per call, made only when a collector is configured; the caller's trace id is kept with the call in any case."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from opentelemetry import trace
from opentelemetry.propagate import extract
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind, Status, StatusCode

from fairlead_edge.dataplane.calls import RunningCall

TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")

UNTRACED = nullcontext()


class CallTracer:
    """Traces calls; without a collector it only notes the caller's trace id."""

    def __init__(self, provider: TracerProvider | None) -> None:
        self._tracer = provider.get_tracer("fairlead.edge") if provider is not None else None

    def tracing(self, call: RunningCall, traceparent: str | None) -> AbstractContextManager[object]:
        """Around the handling of ``call``: a span, child of the caller's when he sent one."""
        if self._tracer is not None:
            return self._span(self._tracer, call, traceparent)
        if traceparent is not None:
            call.body["trace_id"] = _trace_id(traceparent)
        return UNTRACED

    @staticmethod
    @contextmanager
    def _span(tracer: trace.Tracer, call: RunningCall, traceparent: str | None) -> Iterator[None]:
        context = extract({"traceparent": traceparent}) if traceparent else None
        with tracer.start_as_current_span("chat.completions", context, SpanKind.SERVER) as span:
            call.body["trace_id"] = format(span.get_span_context().trace_id, "032x")
            try:
                yield
            finally:
                _describe(span, call)


def _describe(span: trace.Span, call: RunningCall) -> None:
    """The attributes of the OpenTelemetry conventions for generative AI, as far as they are known."""
    found = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": call.body["requested_model"],
        "gen_ai.system": call.provider,
        "gen_ai.response.model": call.model,
        "fairlead.call_id": call.call_id,
        "fairlead.attempts": len(call.attempts),
    }
    span.set_attributes({name: value for name, value in found.items() if value is not None})
    if call.provider is None:
        span.set_status(Status(StatusCode.ERROR, str(call.body.get("error_code"))))


def _trace_id(traceparent: str) -> str | None:
    found = TRACEPARENT.fullmatch(traceparent)
    return found[1] if found is not None else None
