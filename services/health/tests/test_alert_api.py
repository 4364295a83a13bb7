"""Rules, silences and acknowledgements on the running service, over the bus, also across restarts and a database away."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fairlead_common.bus.publishing import JetStreamPublisher
from fairlead_common.bus.rpc import Empty, RpcClient, RpcError
from fairlead_common.events.failover import FailoverSwitched
from fairlead_common.ids import stamp
from fairlead_common.operations import alert_rules, alerts
from fairlead_common.operations.incidents import INCIDENTS, Incident, IncidentsQuery
from fairlead_health.domain.silences import refusal
from fairlead_health.rules import built_in
from fairlead_simulator.testing import Running
from nats.aio.client import Client
from prometheus_client import generate_latest

from services.health.tests.running import (
    DOWN,
    Observer,
    eventually,
    fail,
    providers_file,
    running,
)
from tests.support.postgres_proxy import postgres_proxy

NOW = datetime(2026, 11, 25, tzinfo=UTC)
HOUR = timedelta(hours=1)
OURS = "alerts.info.openai.ours"


def ours(**given: Any) -> alert_rules.RulesIn:
    """One rule of our own, which fires while the provider is well."""
    rule = {"name": "ours", "kind": "error_rate", "severity": "info", "threshold": 0.001, "min_calls": 1}
    return alert_rules.RulesIn(rules=[{**rule, **given}], by="ann", note="a trial")


async def test_rules_are_put_as_a_whole_and_followed_at_once(
    nats_url: str, postgres_dsn: str, nats_client: Client, openai: Running, observer: Observer, tmp_path: Path
) -> None:
    rpc, providers = RpcClient(nats_client), providers_file(tmp_path, openai=openai.url)
    async with postgres_proxy(postgres_dsn) as proxy:
        async with running(nats_url, proxy.dsn, providers):
            first = await rpc.call(alert_rules.RULES, Empty())
            assert (first.version, tuple(first.rules)) == (0, built_in())
            wrong = ours(threshold=1.5)
            with pytest.raises(
                RpcError, match=r"rules\[0\].threshold: Input should be less than 1"
            ) as refused:
                await rpc.call(alert_rules.PUT_RULES, wrong)
            assert refused.value.status == 422
            (problem,) = (await rpc.call(alert_rules.CHECK_RULES, wrong)).problems
            assert problem.where == "rules[0].threshold"

            await observer.until_status("openai", "healthy")
            await fail(nats_client, openai)
            await observer.until_alerts(["firing"], DOWN)
            second = await rpc.call(alert_rules.PUT_RULES, ours())
            assert (second.version, second.set_by, second.note) == (1, "ann", "a trial")
            *_, ended = await observer.until_alerts(["firing", "resolved"], DOWN)
            assert ended.annotations["description"] == "no rule that is on raises this alert any more"
            await observer.until_alerts(["firing"], OURS)
            stale = ours().model_copy(update={"replaces": 0})
            with pytest.raises(RpcError, match="version 0 is not in force any more"):
                await rpc.call(alert_rules.PUT_RULES, stale)
            (version,) = (await rpc.call(alert_rules.RULE_VERSIONS, Empty())).versions
            assert (version.version, version.set_by) == (1, "ann")
        await proxy.cut()
        async with running(nats_url, proxy.dsn, providers):  # which knows the rules from the bus
            await openai.clear()
            await observer.until_status("openai", "healthy")
            await observer.until_alerts(["firing", "resolved"], OURS)
            await observer.until_alerts(["firing", "resolved"], DOWN)


async def test_of_rules_put_at_once_each_becomes_a_version_unless_they_replace_the_same(
    nats_url: str, postgres_dsn: str, nats_client: Client, openai: Running, tmp_path: Path
) -> None:
    rpc, providers = RpcClient(nats_client), providers_file(tmp_path, openai=openai.url)
    async with running(nats_url, postgres_dsn, providers):
        put = await asyncio.gather(*(rpc.call(alert_rules.PUT_RULES, ours()) for _ in range(8)))
        assert sorted(each.version for each in put) == list(range(1, 9))

        following = ours().model_copy(update={"replaces": 8})
        found = await asyncio.gather(
            *(rpc.call(alert_rules.PUT_RULES, following) for _ in range(8)), return_exceptions=True
        )
        (won,) = [each.version for each in found if isinstance(each, alert_rules.Rules)]
        assert won == 9
        lost = [each for each in found if isinstance(each, RpcError)]
        assert [(each.status, str(each)) for each in lost] == [
            (409, "version 8 is not in force any more; read the rules again")
        ] * 7


async def test_a_silence_is_listed_and_ended_early_and_none_overlaps(
    nats_url: str, postgres_dsn: str, nats_client: Client, openai: Running, observer: Observer, tmp_path: Path
) -> None:
    rpc, providers = RpcClient(nats_client), providers_file(tmp_path, openai=openai.url)
    now = datetime.now(UTC)
    asked = alerts.SilenceIn(
        matchers={"alertname": "down"}, ends_at=now + timedelta(hours=1), reason="a drill", by="ann"
    )
    async with running(nats_url, postgres_dsn, providers):
        await observer.until_status("openai", "healthy")
        silence = await rpc.call(alerts.SILENCE, asked)
        with pytest.raises(RpcError, match=f"silence {silence.id} has the same matchers and holds from"):
            await rpc.call(alerts.SILENCE, asked)
        later = await rpc.call(
            alerts.SILENCE,
            asked.model_copy(update={"starts_at": silence.ends_at, "ends_at": now + timedelta(hours=2)}),
        )
        assert (await rpc.call(alerts.SILENCES, Empty())).silences == [silence, later]
        await fail(nats_client, openai)
        await observer.until_alerts(["suppressed"], DOWN)
        await rpc.call(alerts.END_SILENCE, alerts.OneSilence(id=silence.id))
        await observer.until_alerts(["suppressed", "firing"], DOWN)
        await rpc.call(alerts.END_SILENCE, alerts.OneSilence(id=later.id))
        assert (await rpc.call(alerts.SILENCES, Empty())).silences == []
        with pytest.raises(RpcError, match=f"there is no silence {later.id} that is not over already"):
            await rpc.call(alerts.END_SILENCE, alerts.OneSilence(id=later.id))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({}, None),
        (
            {"matchers": {"provider": "opnai"}},
            "there is no 'opnai'; it would silence nothing. There are openai",
        ),
        ({"matchers": {"alertname": "dwn"}}, "there is no 'dwn'"),
        ({"ends_at": NOW}, "ends_at must be in the future"),
        ({"starts_at": NOW + 2 * HOUR}, "ends_at must be after starts_at"),
        ({"matchers": {"alertname": "down"}}, "silence 1 has the same matchers"),
        ({"matchers": {"alertname": "down"}, "starts_at": NOW + HOUR / 2}, None),
        ({"matchers": {"alertname": "down", "provider": "openai"}}, None),
    ],
)
def test_a_silence_is_refused_with_the_reason(changed: dict[str, Any], reason: str | None) -> None:
    asked = alerts.SilenceIn(matchers={"provider": "openai"}, ends_at=NOW + HOUR, reason="a drill", by="ann")
    existing = alerts.Silence(
        id=1,
        matchers={"alertname": "down"},
        starts_at=NOW,
        ends_at=NOW + HOUR / 2,
        reason="a drill",
        by="bob",
    )
    found = refusal(asked.model_copy(update=changed), [existing], NOW, ["openai"], ["down"])
    assert (found is None) if reason is None else (found is not None and reason in found)


async def test_an_acknowledgement_with_its_note_outlives_a_restart(
    nats_url: str, postgres_dsn: str, nats_client: Client, openai: Running, observer: Observer, tmp_path: Path
) -> None:
    rpc, providers = RpcClient(nats_client), providers_file(tmp_path, openai=openai.url)
    async with running(nats_url, postgres_dsn, providers):
        await observer.until_status("openai", "healthy")
        await fail(nats_client, openai)
        (alert,) = await observer.until_alerts(["firing"], DOWN)

        async def saved() -> bool:
            return bool((await rpc.call(alerts.ALERTS, alerts.AlertsQuery(active=True))).alerts)

        await eventually(saved)
        note = alerts.Acknowledge(alert_id=alert.alert_id, by="ann", note="vendor told us")
        await rpc.call(alerts.ACKNOWLEDGE, note)
        _, told = await observer.until_alerts(["firing", "acknowledged"], DOWN)
        assert told.annotations["acknowledgement_note"] == "vendor told us"
    async with running(nats_url, postgres_dsn, providers):
        await openai.clear()
        *_, resolved = await observer.until_alerts(["firing", "acknowledged", "resolved"], DOWN)
        assert resolved.labels["acknowledged_by"] == "ann"


async def test_what_failover_does_after_an_alert_is_told_at_once(
    nats_url: str, postgres_dsn: str, nats_client: Client, openai: Running, observer: Observer, tmp_path: Path
) -> None:
    providers = providers_file(tmp_path, openai=openai.url)
    async with running(nats_url, postgres_dsn, providers):
        await observer.until_status("openai", "healthy")
        await fail(nats_client, openai)
        (fired,) = await observer.until_alerts(["firing"], DOWN)
        assert fired.action_taken is None
        for workspace in (1, 2):
            switched = FailoverSwitched(
                **stamp(),
                workspace_id=workspace,
                from_target="openai",
                to_target=f"anthropic/{workspace}",
                cause="status_down",
                version=7,
            )
            await JetStreamPublisher(nats_client.jetstream()).publish(switched)
        _, again = await observer.until_alerts(["firing", "firing"], DOWN)
        assert (again.alert_id, again.sequence) == (fired.alert_id, fired.sequence + 1)
        assert again.action_taken is not None
        assert again.action_taken.reason == "status_down"
        await openai.clear()
        await observer.until_alerts(["firing", "firing", "resolved"], DOWN)


async def test_what_failover_did_is_told_with_the_alert_and_in_the_incident(
    nats_url: str, postgres_dsn: str, nats_client: Client, openai: Running, observer: Observer, tmp_path: Path
) -> None:
    rpc, providers = RpcClient(nats_client), providers_file(tmp_path, openai=openai.url)
    async with running(nats_url, postgres_dsn, providers) as runtime:
        await observer.until_status("openai", "healthy")
        for workspace in (1, 2):
            switched = FailoverSwitched(
                **stamp(),
                workspace_id=workspace,
                from_target="openai",
                to_target="anthropic",
                cause="breaker_open",
                version=7,
            )
            await JetStreamPublisher(nats_client.jetstream()).publish(switched)
        await fail(nats_client, openai)
        await observer.until_alerts(["firing"], DOWN)

        async def shown() -> str:
            page = generate_latest(runtime.registry).decode()
            return page if 'fairlead_provider_up{provider="openai"} 0.0' in page else ""

        page = await eventually(shown)
        assert 'fairlead_provider_status{provider="openai",status="down"} 1.0' in page
        alert = 'alertname="down",provider="openai",severity="critical",status="firing"'
        assert f"fairlead_alert_active{{{alert}}} 1.0" in page
        await openai.clear()
        *_, resolved = await observer.until_alerts(["firing", "resolved"], DOWN)
        assert resolved.action_taken is not None
        assert (resolved.action_taken.to_target, resolved.action_taken.reason) == (
            "anthropic",
            "breaker_open",
        )

        async def over() -> list[Incident]:
            asked = IncidentsQuery(provider="openai")
            found = (await rpc.call(INCIDENTS, asked)).incidents
            return found if found and found[0].resolved_at is not None else []

        (incident,) = await eventually(over)
        assert incident.worst_status == "down"
        kinds = [entry.kind for entry in incident.timeline]
        assert kinds.count("switched") == 1  # however many workspaces it concerned
        assert {"opened", "status", "alert_fired", "alert_resolved", "resolved"} <= set(kinds)
        with pytest.raises(RpcError, match="'opnai' is not configured"):
            await rpc.call(INCIDENTS, IncidentsQuery(provider="opnai"))
