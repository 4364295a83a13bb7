"""Results of probes in Postgres, each once, and what they have cost; and what is known of that without asking."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fairlead_common.db.database import Database
from fairlead_common.events.calls import Call, CallKind, CallsCompleted
from fairlead_common.ids import utc_now
from sqlalchemy import RowMapping, text

from fairlead_health.domain.budgets import Spend

KEPT: Final = timedelta(days=8)
"""Longer than the stream keeps a frame, so that a result that comes again is not paid twice."""
SPEND_KEPT: Final = timedelta(days=400)

ADD = """
WITH new AS (
    INSERT INTO probe_result (call_id, provider, model, region, kind, started_at, error_class, status, latency_ms,
        ttft_ms, dns_ms, connect_ms, tls_ms, first_byte_ms, cost_usd)
    VALUES (:call_id, :provider, :model, :region, :kind, :started_at, :error_class, :status, :latency_ms,
        :ttft_ms, :dns_ms, :connect_ms, :tls_ms, :first_byte_ms, :cost_usd)
    ON CONFLICT DO NOTHING RETURNING provider, started_at, cost_usd
)
INSERT INTO probe_spend (provider, day, probes, cost_usd)
SELECT provider, (started_at AT TIME ZONE 'UTC')::date, 1, coalesce(cost_usd, 0) FROM new
ON CONFLICT (provider, day) DO UPDATE SET probes = probe_spend.probes + 1,
    cost_usd = probe_spend.cost_usd + excluded.cost_usd
"""


class ProbeResults:
    """One query each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, frames: Iterable[CallsCompleted]) -> None:
        """Add the frames' probes, and what they cost; those that are there already change nothing."""
        probes = [call for frame in frames for call in frame.calls if call.kind is CallKind.PROBE]
        if probes:
            async with self._database.transaction() as session:
                await (await session.connection()).execute(text(ADD), [result_of(call) for call in probes])

    async def recent(self, provider: str, limit: int) -> list[RowMapping]:
        """Results, newest first."""
        return await self._database.fetch(
            "SELECT call_id, provider, model, region, kind, started_at, error_class IS NULL AS ok, error_class, status,"
            " latency_ms, ttft_ms, dns_ms, connect_ms, tls_ms, first_byte_ms, cost_usd FROM probe_result"
            " WHERE provider = :provider ORDER BY started_at DESC LIMIT :limit",
            provider=provider,
            limit=limit,
        )

    async def spends(self, now: datetime) -> dict[str, Spend]:
        """What the probes of each provider have cost this day and month; one without any is not listed."""
        today = now.astimezone(UTC).date()
        rows = await self._database.fetch(
            "SELECT provider, sum(cost_usd) FILTER (WHERE day = :today) AS today, sum(cost_usd) AS month"
            " FROM probe_spend WHERE day BETWEEN :first AND :today GROUP BY provider",
            today=today,
            first=today.replace(day=1),
        )
        return {row["provider"]: Spend(row["today"] or 0.0, row["month"]) for row in rows}

    async def prune(self) -> None:
        """Forget what is too old to be asked for."""
        now = utc_now()
        await self._database.fetch("DELETE FROM probe_result WHERE started_at < :at", at=now - KEPT)
        await self._database.fetch("DELETE FROM probe_spend WHERE day < :day", day=(now - SPEND_KEPT).date())


class Ledger:
    """What probes have cost: as last read, and what this process has spent since."""

    def __init__(self, results: ProbeResults) -> None:
        self._results = results
        self._spends: dict[str, Spend] | None = None

    async def read(self) -> None:
        """Read it anew; what is still on its way to the database shows with the next reading."""
        self._spends = await self._results.spends(utc_now())

    def spend_of(self, provider: str) -> Spend | None:
        """None = not known yet."""
        return None if self._spends is None else self._spends.get(provider, Spend())

    def add(self, call: Call) -> None:
        """A probe of this process has ended."""
        provider, cost = call.attempts[0].provider, call.cost_usd
        known = self.spend_of(provider)
        if self._spends is not None and known is not None and cost:
            self._spends[provider] = Spend(known.today_usd + cost, known.this_month_usd + cost)


def result_of(call: Call) -> dict[str, Any]:
    """A probe's call as a result: a row, and what the API shows."""
    attempt = call.attempts[0]
    phases = attempt.phases
    return {
        "call_id": call.call_id,
        "provider": attempt.provider,
        "model": attempt.model,
        "region": attempt.region,
        "kind": call.api.removeprefix("probe."),
        "started_at": call.started_at,
        "error_class": attempt.error_class.value if attempt.error_class else None,
        "status": attempt.status,
        "ok": attempt.ok,
        "latency_ms": attempt.duration_ms,
        "ttft_ms": attempt.ttft_ms,
        "dns_ms": phases.dns_ms if phases else None,
        "connect_ms": phases.connect_ms if phases else None,
        "tls_ms": phases.tls_ms if phases else None,
        "first_byte_ms": phases.first_byte_ms if phases else None,
        "cost_usd": call.cost_usd,
    }
