"""Results of probes and their costs in Postgres: each counted once."""

from datetime import UTC, datetime, timedelta

from fairlead_common.db.database import Database
from fairlead_common.events.calls import Attempt, Call, CallKind, CallsCompleted, Phases
from fairlead_common.ids import new_id
from fairlead_common.outcomes import CallState
from fairlead_health.domain.budgets import Spend
from fairlead_health.results import Ledger, ProbeResults

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def probe(
    at: datetime = NOW,
    cost_usd: float | None = 0.25,
    provider: str = "openai",
    kind: CallKind = CallKind.PROBE,
) -> Call:
    attempt = Attempt(
        provider=provider, model="m", offset_ms=0, duration_ms=9, region="eu", phases=Phases(connect_ms=3)
    )
    return Call(
        call_id=new_id(),
        kind=kind,
        api="probe.completion",
        requested_model=f"{provider}/m",
        started_at=at,
        state=CallState.OK,
        status=200,
        duration_ms=9,
        cost_usd=cost_usd,
        attempts=(attempt,),
    )


def frame(*calls: Call) -> CallsCompleted:
    return CallsCompleted(event_id=new_id(), occurred_at=NOW, source="health", calls=calls)


async def test_a_probe_is_paid_once_in_its_day_and_month(database: Database) -> None:
    results, twice = ProbeResults(database), probe()
    await results.add([frame(twice, probe(NOW - timedelta(days=3)), probe(NOW - timedelta(days=30)))])
    await results.add([frame(twice, probe(cost_usd=None), probe(kind=CallKind.LIVE)), frame(twice)])
    await results.add([frame(probe(cost_usd=None, provider="local"))])
    assert await results.spends(NOW) == {"openai": Spend(0.25, 0.5), "local": Spend(0.0, 0.0)}
    assert await results.spends(NOW + timedelta(days=1)) == {
        "openai": Spend(0.0, 0.5),
        "local": Spend(0.0, 0.0),
    }
    assert await results.spends(NOW + timedelta(days=6)) == {}


async def test_results_are_listed_newest_first_with_their_phases(database: Database) -> None:
    results, old, new = ProbeResults(database), probe(NOW - timedelta(hours=1)), probe()
    await results.add([frame(old, new)])
    found = await results.recent("openai", 10)
    assert [each["call_id"] for each in found] == [new.call_id, old.call_id]
    assert (found[0]["connect_ms"], found[0]["tls_ms"], found[0]["region"]) == (3, None, "eu")
    assert len(await results.recent("openai", 1)) == 1


async def test_what_is_old_is_forgotten_and_its_cost_is_not(database: Database) -> None:
    results, now = ProbeResults(database), datetime.now(UTC)
    await results.add([frame(probe(now - timedelta(days=9)), probe(now))])
    await results.prune()
    assert len(await results.recent("openai", 10)) == 1
    assert (await results.spends(now))["openai"].today_usd == 0.25


async def test_a_process_knows_what_it_has_just_spent(database: Database) -> None:
    ledger = Ledger(ProbeResults(database))
    ledger.add(probe())
    assert ledger.spend_of("openai") is None
    await ledger.read()
    assert ledger.spend_of("openai") == Spend()
    ledger.add(probe())
    ledger.add(probe(cost_usd=None))
    assert ledger.spend_of("openai") == Spend(0.25, 0.25)
    await ledger.read()
    assert ledger.spend_of("openai") == Spend()
