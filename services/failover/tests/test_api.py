"""Failover's configuration, log and figures, asked for over the bus."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fairlead_common.bus.publishing import JetStreamPublisher
from fairlead_common.bus.rpc import RpcError
from fairlead_common.db.database import Database
from fairlead_common.events.calls import Attempt, Call
from fairlead_common.events.health import ProviderStatus, ProviderStatusPublished, Status
from fairlead_common.ids import stamp, utc_now
from fairlead_common.operations import failover as ops
from fairlead_common.outcomes import CallState, ErrorClass
from fairlead_common.snapshots.failover import PolicyRule, PolicySnapshot, Recovery, Triggers
from fairlead_failover.dryrun import Rehearsal
from nats.aio.client import Client
from pydantic import ValidationError
from sqlalchemy import text

from services.failover.tests.running import LONG_AGO, MODEL, Fleet, running
from tests.support.waiting import until

ONE = ops.OfWorkspace(workspace_id=1)


def config(**fields: object) -> ops.PutConfig:
    return ops.PutConfig.model_validate({"workspace_id": 1, "config": fields})


def rules(**fields: object) -> ops.PutConfig:
    return config(rules=[{"name": "r", **fields}])


async def test_a_dry_run_tells_what_triggers_would_have_moved(
    nats_url: str, postgres_dsn: str, fleet: Fleet, tmp_path: Path
) -> None:
    await fleet.report("openai", *[None] * 10, *[ErrorClass.SERVER_ERROR] * 2, age_s=300)
    await fleet.report("openai", *[None] * 5, age_s=200)
    rule = {"name": "r", "chain": ["mistral"], "triggers": {"consecutive_failures": 2}}
    asked = ops.DryRunIn.model_validate({"workspace_id": 1, "config": {"rules": [rule]}})
    async with running(nats_url, postgres_dsn, tmp_path):
        found = await fleet.rpc.call(ops.DRY_RUN, asked)
        assert (found.complete, found.attempts) == (True, 17)
        (switch,) = found.switches
        assert (switch.rule, switch.from_target, switch.to_target) == ("r", f"openai/{MODEL}", "mistral")
        assert (switch.cause, switch.evidence) == ("consecutive_failures", "2 calls in a row failed")
        assert switch.back_at is not None
        assert 30 <= (switch.back_at - switch.at).total_seconds() <= 45
        assert (switch.calls, switch.failed) == (0, 0)
        assert await fleet.rpc.call(ops.GET_CONFIG, ONE) == ops.FailoverConfig(workspace_id=1, version=0)


async def test_a_dry_run_hears_of_health_to_its_end_and_says_from_when_on_calls_are_kept(
    nats_url: str, postgres_dsn: str, fleet: Fleet, nats_client: Client, tmp_path: Path
) -> None:
    await fleet.report("openai", None, age_s=300)
    stream = nats_client.jetstream()
    await stream.purge_stream("CALLS")
    await fleet.report("openai", *[None] * 5, age_s=20)
    rule = {"name": "r", "chain": ["mistral"], "triggers": {"status": ["down"]}}
    asked = ops.DryRunIn.model_validate({"workspace_id": 1, "config": {"rules": [rule]}, "hours": 1})
    async with running(nats_url, postgres_dsn, tmp_path):
        down = ProviderStatus(
            provider="openai", status=Status.DOWN, since=utc_now(), sequence=1, reason="a test"
        )
        await JetStreamPublisher(stream).publish(ProviderStatusPublished(**stamp(), state=down, changed=True))
        found = await fleet.rpc.call(ops.DRY_RUN, asked)
        assert [each.cause for each in found.switches] == ["status_down"]
        assert found.since > found.until - timedelta(minutes=5), "what came before was purged"
        await stream.purge_stream("CALLS")
        emptied = await fleet.rpc.call(ops.DRY_RUN, asked)
        assert (emptied.attempts, emptied.since) == (0, emptied.until)


def test_a_rehearsal_leaves_a_turn_after_each_second_that_passes() -> None:
    rule = PolicyRule(name="r", triggers=Triggers(consecutive_failures=1), recovery=Recovery(hold_s=60))
    found = Rehearsal(PolicySnapshot(workspace_id=1, version=1, rules=(rule,)))
    call = Call(
        call_id="c",
        requested_model="m",
        started_at=datetime(2026, 11, 1, tzinfo=UTC),
        state=CallState.FAILED,
        status=503,
        duration_ms=1.0,
    )
    failed = Attempt(
        provider="openai", model="m", offset_ms=0.0, duration_ms=1.0, error_class=ErrorClass.CONNECT
    )
    assert len(list(found.hear(call, failed, 1000.0))) == 1
    found.judge()
    assert len(found.away) == 1
    assert len(list(found.live_until(1030.0))) == 30


async def add_workspace(database: Database, name: str) -> int:
    async with database.transaction() as session:
        found = await (await session.connection()).execute(
            text("INSERT INTO workspace (name) VALUES (:name) RETURNING id"), {"name": name}
        )
        return int(found.scalar_one())


async def test_a_configuration_is_made_read_changed_and_removed_and_edges_follow(
    nats_url: str, postgres_dsn: str, fleet: Fleet, tmp_path: Path
) -> None:
    async with running(nats_url, postgres_dsn, tmp_path):
        found = await fleet.rpc.call(ops.GET_CONFIG, ONE)
        assert (found.version, found.enabled, found.fallback_providers) == (0, True, [])
        found = await fleet.rpc.call(
            ops.PUT_CONFIG,
            config(
                primary_provider="openai",
                fallback_providers=["mistral", "anthropic"],
                failover_conditions={"max_error_rate": 0.2},
            ),
        )
        assert found.version == 1
        await until(lambda: "policy.1" in fleet.policies)
        policy = PolicySnapshot.model_validate_json(fleet.policies["policy.1"])
        assert policy.fallback_providers == ("mistral", "anthropic")
        assert policy.conditions == {"max_error_rate": 0.2}
        await fleet.rpc.call(ops.PUT_CONFIG, config(enabled=False))
        await until(lambda: PolicySnapshot.model_validate_json(fleet.policies["policy.1"]).version == 2)
        found = await fleet.rpc.call(ops.GET_CONFIG, ONE)
        assert (found.primary_provider, found.enabled) == (None, False)
    async with running(nats_url, postgres_dsn, tmp_path, "another"):  # which has not published it itself
        await fleet.rpc.call(ops.DELETE_CONFIG, ops.DeleteConfig(workspace_id=1))
        await until(lambda: not fleet.policies)
        assert (await fleet.rpc.call(ops.GET_CONFIG, ONE)).version == 0


REFUSED = [
    (config(primary_provider="opnai"), 422, "provider 'opnai' is not configured"),
    (config(fallback_providers=["openai", "opnai"]), 422, "configured are anthropic, mistral, openai"),
    (config(fallback_providers=["openai", "openai"]), 422, "names a provider twice"),
    (config(primary_provider="openai", fallback_providers=["openai"]), 422, "leads back to the primary"),
    (rules(primary="openai/gpt-5.4"), 422, r"rules\[0\].chain is empty; name who stands in for"),
    (
        rules(chain=["openai/gpt-5.4-minni"]),
        422,
        r"rules\[0\].chain\[0\]: .* did you mean openai/gpt-5.4-mini",
    ),
    (rules(chain=["class:fasst"]), 422, "did you mean class:fast"),
    (rules(chain=["opnai"]), 422, r"rules\[0\].chain\[0\]: provider 'opnai' is not configured"),
    (rules(primary="openai", chain=["openai/gpt-5.4"]), 422, r"chain\[0\]: 'openai/gpt-5.4' leads back"),
    (rules(chain=["mistral", "mistral"]), 422, r"chain\[1\]: 'mistral' leads back"),
    (
        rules(conditions={"providers": ["openai"]}),
        422,
        "rule 'r': conditions.providers is not a condition here",
    ),
    (rules(conditions={"when": "now >"}), 422, "rule 'r': conditions.when"),
    (
        rules(conditions={"when": "request.task == 'code'"}),
        422,
        "request.task is known to routing rules only",
    ),
    (ops.PutConfig(workspace_id=77, config=ops.FailoverConfigIn()), 404, "there is no workspace 77"),
]


async def test_a_configuration_that_cannot_be_used_is_refused(
    nats_url: str, postgres_dsn: str, fleet: Fleet, tmp_path: Path
) -> None:
    async with running(nats_url, postgres_dsn, tmp_path):
        for request, status, message in REFUSED:
            with pytest.raises(RpcError, match=message) as refused:
                await fleet.rpc.call(ops.PUT_CONFIG, request)
            assert refused.value.status == status
        assert (await fleet.rpc.call(ops.GET_CONFIG, ONE)).version == 0


async def test_every_version_is_kept_with_who_and_when_and_can_come_back(
    nats_url: str, postgres_dsn: str, fleet: Fleet, tmp_path: Path
) -> None:
    async with running(nats_url, postgres_dsn, tmp_path):
        first = rules(primary="openai/gpt-5.4-mini", chain=["mistral"]).model_copy(
            update={"changed_by": "anna"}
        )
        assert (await fleet.rpc.call(ops.PUT_CONFIG, first)).version == 1
        await fleet.rpc.call(ops.PUT_CONFIG, config(enabled=False))
        await fleet.rpc.call(ops.DELETE_CONFIG, ops.DeleteConfig(workspace_id=1, changed_by="bob"))
        found = (await fleet.rpc.call(ops.VERSIONS, ONE)).versions
        assert [(each.version, each.action, each.changed_by) for each in found] == [
            (3, "deleted", "bob"),
            (2, "changed", None),
            (1, "changed", "anna"),
        ]
        restored = await fleet.rpc.call(ops.RESTORE, ops.RestoreConfig(workspace_id=1, version=1))
        assert (restored.version, restored.rules[0].chain) == (4, ("mistral",))
        with pytest.raises(RpcError, match="no version 9") as refused:
            await fleet.rpc.call(ops.RESTORE, ops.RestoreConfig(workspace_id=1, version=9))
        assert refused.value.status == 404


async def test_a_chain_that_lacks_what_the_primary_can_do_is_warned_about(
    nats_url: str, postgres_dsn: str, fleet: Fleet, tmp_path: Path
) -> None:
    async with running(nats_url, postgres_dsn, tmp_path):
        put = rules(primary="openai/gpt-5.4-mini", chain=["mistral/mistral-embed", "anthropic"])
        warnings = (await fleet.rpc.call(ops.PUT_CONFIG, put)).warnings
        assert any("rules[0].chain[0]: mistral/mistral-embed lacks" in each for each in warnings)
        lacking = [each for each in warnings if each.startswith("rules[0].chain[1]: ")]
        assert len(lacking) == len({each.partition(" lack")[2] for each in lacking}), (
            "one line for equal gaps"
        )
        assert any("anthropic/claude-haiku-4-5, " in each for each in lacking)


@pytest.mark.parametrize(
    "fields",
    [
        {"failover_conditions": {"max_error_rat": 0.1}},
        {"failover_conditions": {"max_error_rate": 1.5}},
        {"failover_conditions": {"max_latency_ms": 0}},
        {"fallback": ["openai"]},
        {"rules": [{"name": "r", "chains": []}]},
        {"rules": [{"name": "r", "triggers": {"error_rat": 0.1}}]},
        {"rules": [{"name": "r", "triggers": {"error_rate": 2}}]},
        {"rules": [{"name": "r", "recovery": {"steps": [0.5, 0.1]}}]},
        {"rules": [{"name": "a/b"}]},
    ],
)
def test_a_misspelt_or_impossible_condition_is_no_configuration(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        config(**fields)


async def test_each_workspace_is_told_who_stands_in_for_it(
    nats_url: str, postgres_dsn: str, database: Database, fleet: Fleet, tmp_path: Path
) -> None:
    """Another replica may hold the policies' lease: the controller knows them all the same."""
    named, off = await add_workspace(database, "named"), await add_workspace(database, "off")
    async with running(nats_url, postgres_dsn, tmp_path):
        put = ops.PutConfig.model_validate(
            {"workspace_id": named, "config": {"fallback_providers": ["openai", "anthropic", "mistral"]}}
        )
        await fleet.rpc.call(ops.PUT_CONFIG, put)
        await fleet.rpc.call(
            ops.PUT_CONFIG, ops.PutConfig.model_validate({"workspace_id": off, "config": {"enabled": False}})
        )
        await fleet.say("anthropic", Status.DOWN)
        await fleet.until_events("switched", "switched")
        await fleet.say("openai", Status.DOWN)
        events = await fleet.until_events("switched", "switched", "switched", "switched")
        told = {(each.workspace_id, each.from_target): each.to_target for each in events}
        assert told == {
            (1, "anthropic"): "equivalents",
            (named, "anthropic"): "openai",
            (1, "openai"): "equivalents",
            (named, "openai"): "mistral",
        }
        await fleet.say("openai", Status.HEALTHY)
        events = await fleet.until_events(*["switched"] * 4, *["recovered"] * 2)
        back = {each.workspace_id: each.from_target for each in events[4:]}
        assert back == {1: "equivalents", named: "mistral"}

        found = await fleet.rpc.call(ops.EVENTS, ops.EventsQuery(workspace_id=named))
        assert [(each.kind, each.to_target) for each in found.events] == [
            ("recovered", "openai"),
            ("switched", "mistral"),
            ("switched", "openai"),
        ]
        found = await fleet.rpc.call(
            ops.EVENTS, ops.EventsQuery(workspace_id=named, provider="anthropic", limit=5)
        )
        assert [each.from_target for each in found.events] == ["anthropic"]
        figures = await fleet.rpc.call(ops.ANALYTICS, ops.AnalyticsQuery(workspace_id=named))
        assert (figures.switched, figures.recovered, figures.open_now) == (2, 1, 1)
        assert figures.by_provider == {"anthropic": 1, "openai": 1}
        assert (figures.causes, figures.mean_time_to_detect_s) == ({"status_down": 2}, None)
        assert figures.providers is None, "comparison does not run here"
        for provider, still_open in (("openai", 0), ("anthropic", 1)):
            one = ops.AnalyticsQuery(workspace_id=named, provider=provider)
            assert (await fleet.rpc.call(ops.ANALYTICS, one)).open_now == still_open
        one = ops.AnalyticsQuery(workspace_id=named, provider="openai", until=LONG_AGO)
        assert (await fleet.rpc.call(ops.ANALYTICS, one)).switched == 0
        assert figures.mean_time_to_recover_s == figures.longest_s == found_s(events[-1])
        figures = await fleet.rpc.call(ops.ANALYTICS, ops.AnalyticsQuery(workspace_id=off))
        assert (figures.switched, figures.mean_time_to_recover_s) == (0, None)


def found_s(event: object) -> float | None:
    """How long the outage was."""
    return getattr(event, "down_s", None)


async def test_the_state_tells_what_health_says_and_who_controls(
    nats_url: str, postgres_dsn: str, fleet: Fleet, tmp_path: Path
) -> None:
    async with running(nats_url, postgres_dsn, tmp_path):
        assert await fleet.state() == {}
        await fleet.say("openai", Status.DOWN)
        await fleet.until_gate("openai", "open")
        gate = (await fleet.state())["openai"]
        assert (gate.state, gate.share, gate.status) == ("open", 0.0, "down")
        assert gate.reason == "health says down: a test"
        await fleet.say("openai", Status.HEALTHY)
        await fleet.until_gate("openai", "closed")
        gate = (await fleet.state())["openai"]
        assert (gate.state, gate.share, gate.status) == ("closed", 1.0, "healthy")
