"""One probe: what is sent to a provider, and what came of it, as a call like any other."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from fairlead_common.decisions.targets import Target
from fairlead_common.events import calls
from fairlead_common.events.calls import Attempt, Call, CallKind
from fairlead_common.ids import utc_now
from fairlead_common.operations.health import ProbeKind
from fairlead_common.outcomes import CallState
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.client import ProviderClient
from fairlead_models.errors import ProviderError
from fairlead_models.prices import cost_usd
from fairlead_models.transport.protocol import Phases, Timeouts
from fairlead_models.unified import ChatRequest, Message, Usage

PROBE_TIMEOUTS: Final = Timeouts(connect_s=3, first_byte_s=15, between_bytes_s=10, total_s=30)
PROBE_OUTPUT_TOKENS: Final = 16
UNLISTED: Final = frozenset((404, 405, 501))
"""Answers of a provider that has no list of models: it was reached, and a cheap probe asks no more."""


@dataclass
class Measured:
    """What one probe found; times in ms."""

    started_at: datetime
    duration_ms: float = 0.0
    ttft_ms: float | None = None
    usage: Usage = field(default_factory=Usage)
    phases: Phases = field(default_factory=Phases)
    error: ProviderError | None = None


def request_for(kind: ProbeKind, model: str) -> ChatRequest:
    """The smallest real chat; the limit leaves reasoning models room to end."""
    messages = [Message("user", "Reply with the single word: ok")]
    return ChatRequest(model, messages, stream=kind == "streaming", max_output_tokens=PROBE_OUTPUT_TOKENS)


async def measure(client: ProviderClient, kind: ProbeKind, model: str) -> Measured:
    """Probe; a failure of the provider is a result."""
    found, began = Measured(utc_now()), time.perf_counter()

    def elapsed_ms() -> float:
        return (time.perf_counter() - began) * 1000

    try:
        if kind == "cheap":
            found.phases = (await client.list_models(PROBE_TIMEOUTS)).phases
        elif kind == "streaming":
            await _stream(client, model, found, elapsed_ms)
        else:
            answer = await client.chat(request_for(kind, model), model, PROBE_TIMEOUTS)
            found.usage, found.phases = answer.response.usage, answer.phases
    except ProviderError as failed:
        found.phases = failed.phases or found.phases
        if kind != "cheap" or failed.status not in UNLISTED:
            found.error = failed
    found.duration_ms = elapsed_ms()
    return found


async def _stream(
    client: ProviderClient, model: str, found: Measured, elapsed_ms: Callable[[], float]
) -> None:
    async with client.streaming(request_for("streaming", model), model, PROBE_TIMEOUTS) as stream:
        found.phases = stream.phases
        while chunks := await stream.next():
            for chunk in chunks:
                if chunk.has_token and found.ttft_ms is None:
                    found.ttft_ms = elapsed_ms()
                found.usage = chunk.usage or found.usage


def call_of(
    found: Measured, client: ProviderClient, catalog: Catalog, kind: ProbeKind, model: str, call_id: str
) -> Call:
    """The probe as a call; its cost is None where the price is unknown, and 0 for a list of models."""
    provider, error = client.spec.name, found.error
    target = Target(provider, model)
    price = catalog.price(target) if target in catalog.entries else None
    cost = 0.0 if kind == "cheap" else cost_usd(found.usage, price)
    attempt = Attempt(
        provider=provider,
        model=model,
        offset_ms=0,
        duration_ms=round(found.duration_ms, 3),
        ttft_ms=_rounded(found.ttft_ms),
        error_class=error.error_class if error else None,
        status=error.status if error else 200,
        retry_after_s=error.retry_after_s if error else None,
        input_tokens=found.usage.input_tokens,
        output_tokens=found.usage.output_tokens,
        cost_usd=cost,
        region=client.spec.region,
        phases=_phases(found.phases),
    )
    return Call(
        call_id=call_id,
        kind=CallKind.PROBE,
        api=f"probe.{kind}",
        requested_model=f"{provider}/{model}",
        stream=kind == "streaming",
        started_at=found.started_at,
        state=CallState.FAILED if error else CallState.OK,
        status=attempt.status or 0,
        provider=None if error else provider,
        model=None if error else model,
        duration_ms=attempt.duration_ms,
        ttft_ms=attempt.ttft_ms,
        input_tokens=found.usage.input_tokens,
        output_tokens=found.usage.output_tokens,
        cost_usd=cost,
        attempts=(attempt,),
    )


def _phases(phases: Phases) -> calls.Phases:
    return calls.Phases(
        dns_ms=_rounded(phases.dns_ms),
        connect_ms=_rounded(phases.connect_ms),
        tls_ms=_rounded(phases.tls_ms),
        first_byte_ms=_rounded(phases.first_byte_ms),
    )


def _rounded(value_ms: float | None) -> float | None:
    return None if value_ms is None else round(value_ms, 3)
