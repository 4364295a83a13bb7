"""Counts every call and probe that is heard into what is known of its provider; whoever judges does so afterwards."""

import math
from collections.abc import Sequence
from dataclasses import replace

from fairlead_common.bus.frames import Heard
from fairlead_common.events.calls import Attempt, Call, CallKind

from fairlead_health.domain.status import CallSeen, StatusSettings, counted
from fairlead_health.domain.watch import Watch
from fairlead_health.probes import Prober


class Tally:
    """Adds to ``watches``, by provider."""

    def __init__(self, watches: dict[str, Watch], prober: Prober, rules: StatusSettings) -> None:
        self._watches = watches
        self._prober = prober
        self._rules = rules
        self.routed_at: dict[str, float] = {}
        """Provider to the Unix time at which its last live call ended."""

    def count(self, heard: Sequence[Heard], now: float) -> set[str]:
        """The providers of which something was seen."""
        return {
            attempt.provider
            for each in heard
            for call, attempt, ended_at in each.attempts()
            if attempt.provider in self._watches and self._count(call, attempt, ended_at, now)
        }

    def _count(self, call: Call, attempt: Attempt, ended_at: float, now: float) -> bool:
        error = attempt.error_class
        if not attempt.speaks_of_provider:
            return False
        if call.kind is CallKind.LIVE:
            self.routed_at[attempt.provider] = max(ended_at, self.routed_at.get(attempt.provider, 0.0))
            if error is None:
                self._prober.live_success(attempt.provider, max(0.0, now - ended_at))
        seen = CallSeen(
            ok=None if error is not None and not error.counts_against_provider else error is None,
            source="active" if call.kind is CallKind.PROBE else "passive",
            detail=f"{error.value if error else 'answered'}, call {call.call_id}",
            latency_ms=attempt.duration_ms if math.isfinite(attempt.duration_ms) else None,
            ended_at=ended_at,
            ref=call.call_id,
            trace_id=call.trace_id,
        )
        watch = self._watches[attempt.provider]
        self._watches[attempt.provider] = replace(watch, record=counted(watch.record, seen, now, self._rules))
        return True
