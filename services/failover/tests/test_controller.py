"""The controller on a real bus and database: gates open and recover, through deaths of whatever there is, once."""

import signal
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from unittest.mock import AsyncMock

import pytest
from fairlead_common.bus.rpc import RpcError
from fairlead_common.db.database import Database
from fairlead_common.decisions.gate_records import GateRecord, GateSettings
from fairlead_common.decisions.plan import GateState
from fairlead_common.decisions.targets import Target
from fairlead_common.events.failover import FailoverRecovered, FailoverSwitched
from fairlead_common.events.health import Status
from fairlead_common.ids import utc_now
from fairlead_common.operations import failover as ops
from fairlead_common.outcomes import ErrorClass
from fairlead_common.snapshots.failover import TrialSpend
from fairlead_failover.controller import Controller
from fairlead_failover.probes import DAY_S, Budget, Prober, with_trial
from fairlead_failover.store import FailoverStore
from fairlead_failover.watch import Guarded
from fairlead_simulator.testing import Running
from nats.aio.client import Client
from sqlalchemy import text

from services.failover.tests.running import MODEL, Fleet, environment, running
from tests.support.postgres_proxy import postgres_proxy
from tests.support.processes import service_process
from tests.support.servers import NatsServer
from tests.support.waiting import until

FAILED = (ErrorClass.CONNECT,) * 12


async def saved_gates(database: Database) -> dict[str, tuple[str, int]]:
    async with database.transaction() as session:
        rows = await (await session.connection()).execute(
            text("SELECT key, state, sequence FROM failover_gate")
        )
        return {row[0]: (row[1], row[2]) for row in rows}


STEPS = [0.0, 0.01, 0.1, 0.5, 1.0]
OPENAI = f"openai/{MODEL}"


async def test_a_burst_of_failures_opens_a_models_gate_and_a_trial_starts_its_recovery_in_steps(
    nats_url: str, postgres_dsn: str, fleet: Fleet, openai: Running, tmp_path: Path
) -> None:
    async with running(nats_url, postgres_dsn, tmp_path, urls={"openai": openai.url}):
        await fleet.until_controller("one")
        await fleet.report("openai", *FAILED)
        gate = await fleet.until_gate(OPENAI, "open")
        assert gate is not None
        assert gate.retry_at is not None
        assert fleet.gate("openai") is None
        (switched,) = await fleet.until_events("switched")
        assert isinstance(switched, FailoverSwitched)
        assert (switched.workspace_id, switched.from_target, switched.cause) == (
            1,
            OPENAI,
            "consecutive_failures",
        )
        await fleet.until_gate(OPENAI, "closed")
        assert fleet.shares(OPENAI)[-5:] == STEPS
        assert len(await openai.requests()) == 1
        _, recovered = await fleet.until_events("switched", "recovered")
        assert isinstance(recovered, FailoverRecovered)
        assert recovered.switched_event_id == switched.event_id
        assert recovered.to_target == OPENAI
        assert recovered.down_s is not None
        assert recovered.down_s > 1


async def test_a_controller_whose_clock_is_ahead_of_the_buss_opens_gates_and_tries_them_out(
    nats_url: str,
    postgres_dsn: str,
    fleet: Fleet,
    openai: Running,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ahead = SimpleNamespace(time=lambda: time.time() + 10, monotonic=time.monotonic)
    for module in ("fairlead_failover.controller", "fairlead_common.bus.frames"):
        monkeypatch.setattr(f"{module}.time", ahead)
    async with running(nats_url, postgres_dsn, tmp_path, urls={"openai": openai.url}):
        await fleet.until_controller("one")
        await fleet.report("openai", None)  # the first that comes at once tells how far the clocks are apart
        await fleet.report("openai", *FAILED)
        await fleet.until_gate(OPENAI, "open")
        await fleet.until_gate(OPENAI, "closed")
        assert fleet.shares(OPENAI)[-5:] == STEPS
        assert len(await openai.requests()) == 1, "the first trial has counted"


async def test_failed_trials_keep_a_gate_open_and_without_a_budget_there_are_none(
    nats_url: str, postgres_dsn: str, fleet: Fleet, openai: Running, tmp_path: Path
) -> None:
    await openai.fault("error_500")
    async with running(nats_url, postgres_dsn, tmp_path, urls={"openai": openai.url}, trial_budget_calls=1):
        await fleet.until_controller("one")
        await fleet.report("openai", *FAILED)
        first = await fleet.until_gate(OPENAI, "open")
        assert first is not None
        await until(lambda: (gate := fleet.gate(OPENAI)) is not None and gate.relapses > first.relapses, 30)
        again = fleet.gate(OPENAI)
        assert again is not None
        assert (again.state, again.cause) == ("open", "relapse")
        await fleet.until_gate(OPENAI, "half_open")
        await fleet.report("openai", None)  # what another's call shows counts as much
        await fleet.until_gate(OPENAI, "recovering")
        assert len(await openai.requests()) == 1


async def test_the_next_controller_goes_on_with_the_budget_of_trials(
    nats_url: str, postgres_dsn: str, fleet: Fleet, openai: Running, tmp_path: Path
) -> None:
    await openai.fault("error_500")
    urls = {"openai": openai.url}
    async with running(nats_url, postgres_dsn, tmp_path, urls=urls, trial_budget_calls=1):
        await fleet.until_controller("one")
        await fleet.report("openai", *FAILED)
        await until(lambda: fleet.seen[-1].trials.calls == 1, 30)
    async with running(nats_url, postgres_dsn, tmp_path, "two", urls=urls, trial_budget_calls=1):
        await fleet.until_controller("two")
        await fleet.until_gate(OPENAI, "half_open")
        await fleet.report("openai", None)
        await fleet.until_gate(OPENAI, "recovering")
        assert fleet.seen[-1].trials.calls == 1
        assert len(await openai.requests()) == 1


def test_trials_have_a_budget_of_each_day() -> None:
    noon, budget = 20_000 * DAY_S + DAY_S / 2, Budget(usd=0.5, calls=3)
    spent = with_trial(TrialSpend(), 0.4, noon)
    assert budget.allows(spent, noon)
    assert not budget.allows(with_trial(spent, 0.1, noon), noon)
    spent = with_trial(with_trial(spent, None, noon), None, noon)
    assert (spent.calls, spent.usd) == (3, 0.4)
    assert not budget.allows(spent, noon), "of unknown price, but counted"
    tomorrow = noon + DAY_S
    assert budget.allows(spent, tomorrow)
    assert with_trial(spent, 0.1, tomorrow) == TrialSpend(day=20_001, usd=0.1, calls=1)


async def test_old_calls_and_callers_errors_and_strangers_open_nothing(
    nats_url: str, postgres_dsn: str, fleet: Fleet, tmp_path: Path
) -> None:
    async with running(nats_url, postgres_dsn, tmp_path):
        await fleet.until_controller("one")
        await fleet.report("openai", *FAILED, age_s=60)
        await fleet.report("openai", *(ErrorClass.BAD_REQUEST,) * 30)
        await fleet.report("openai", *(ErrorClass.NOT_FOUND,) * 30, model="invented")
        await fleet.report("stranger", *FAILED)
        await fleet.report("mistral", *FAILED)
        await fleet.until_gate(f"mistral/{MODEL}", "open")
        assert set(fleet.seen[-1].gates) == {f"mistral/{MODEL}"}


async def test_an_exhausted_quota_rests_the_model_without_a_trial(
    nats_url: str, postgres_dsn: str, fleet: Fleet, tmp_path: Path
) -> None:
    async with running(nats_url, postgres_dsn, tmp_path):
        await fleet.until_controller("one")
        await fleet.report("openai", ErrorClass.QUOTA_EXHAUSTED)
        gate = await fleet.until_gate(OPENAI, "open")
        assert gate is not None
        assert gate.retry_at is not None
        assert gate.cause == "quota_exhausted"
        assert (gate.retry_at - gate.since).total_seconds() == pytest.approx(300, abs=5)


async def test_several_failing_models_take_their_provider_out(
    nats_url: str, postgres_dsn: str, fleet: Fleet, tmp_path: Path
) -> None:
    async with running(nats_url, postgres_dsn, tmp_path):
        await fleet.until_controller("one")
        await fleet.report("openai", *FAILED)
        await fleet.report("openai", *FAILED, model="gpt-5.4-nano")
        gate = await fleet.until_gate("openai", "open")
        assert gate is not None
        assert gate.cause == "models_failing"
        assert set(gate.models) == {OPENAI, "openai/gpt-5.4-nano"}
        await fleet.say("openai", Status.DOWN)
        await fleet.say("openai", Status.HEALTHY)
        await fleet.until_gate("openai", "closed")
        await fleet.until_events("switched", "switched", "recovered", "recovered")
        log = await fleet.rpc.call(ops.EVENTS, ops.EventsQuery(workspace_id=1, provider="openai"))
        assert {each.from_target for each in log.events} >= {OPENAI, "openai/gpt-5.4-nano"}


async def test_the_gate_follows_health(
    nats_url: str, postgres_dsn: str, fleet: Fleet, tmp_path: Path
) -> None:
    async with running(nats_url, postgres_dsn, tmp_path):
        await fleet.say("openai", Status.DOWN)
        await fleet.until_gate("openai", "open")
        await fleet.say("openai", Status.DOWN)
        await fleet.say("openai", Status.HEALTHY)
        await fleet.until_gate("openai", "closed")
        assert fleet.shares("openai")[-5:] == STEPS
        switched, _ = await fleet.until_events("switched", "recovered")
        assert isinstance(switched, FailoverSwitched)
        assert switched.cause == "status_down"


async def test_a_provider_that_went_down_while_nobody_controlled(
    nats_url: str, postgres_dsn: str, fleet: Fleet, tmp_path: Path
) -> None:
    await fleet.say("openai", Status.DOWN)
    async with running(nats_url, postgres_dsn, tmp_path):
        await fleet.until_gate("openai", "open")
    await fleet.say("openai", Status.HEALTHY)
    async with running(nats_url, postgres_dsn, tmp_path):
        await fleet.until_gate("openai", "closed")
        await fleet.until_events("switched", "recovered")


async def test_an_operator_takes_out_and_brings_back(
    nats_url: str, postgres_dsn: str, fleet: Fleet, tmp_path: Path
) -> None:
    async with running(nats_url, postgres_dsn, tmp_path):
        await fleet.until_controller("one")
        await fleet.say("openai", Status.HEALTHY)
        state = await fleet.force("openai")
        assert state.controller == "one"
        assert [(gate.provider, gate.state, gate.share, gate.reason, gate.hold) for gate in state.gates] == [
            ("openai", "open", 0.0, "by hand", "out")
        ]
        await fleet.until_gate("openai", "open")
        (switched,) = await fleet.until_events("switched")
        assert isinstance(switched, FailoverSwitched)
        assert switched.cause == "operator"
        assert (await fleet.release("openai")).gates[0].state == "recovering"
        await fleet.until_gate("openai", "closed")
        await fleet.until_events("switched", "recovered")
        with pytest.raises(RpcError, match="configured are anthropic, mistral, openai") as refused:
            await fleet.force("opnai")
        assert (refused.value.status, refused.value.code) == (404, "unknown_provider")
        with pytest.raises(RpcError, match="must lie in the future"):
            await fleet.force("openai", ends_at="2020-01-01T00:00:00Z")


async def test_a_hold_that_the_edges_could_not_be_told_of_yet_is_said_to_be_taken_and_told_once(
    nats_url: str, postgres_dsn: str, fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends_at = utc_now() + timedelta(hours=1)
    async with running(nats_url, postgres_dsn, tmp_path):
        await fleet.until_controller("one")
        with monkeypatch.context() as patched:
            patched.setattr("fairlead_failover.controller.ACTED_S", 0.1)
            patched.setattr("fairlead_failover.news.News._put", AsyncMock(return_value=False))
            for _ in range(2):
                with pytest.raises(RpcError, match="will be as soon as the bus takes it") as refused:
                    await fleet.force("openai", ends_at=ends_at)
                assert (refused.value.status, refused.value.code) == (503, "not_published")
            assert await fleet.state() == {}
        gate = await fleet.until_gate("openai", "open")
        assert gate is not None
        assert (gate.hold, gate.hold_until, gate.sequence) == ("out", ends_at, 1)
        assert (await fleet.force("openai", ends_at=ends_at)).gates[0].sequence == 1
        await fleet.until_events("switched")


async def test_a_hold_of_a_model_ends_by_itself(
    nats_url: str, postgres_dsn: str, fleet: Fleet, tmp_path: Path
) -> None:
    async with running(nats_url, postgres_dsn, tmp_path):
        await fleet.until_controller("one")
        await fleet.hold("drain", "openai", MODEL, duration_s=0.5)
        drained = await fleet.until_gate(OPENAI, "open")
        assert drained is not None
        assert (drained.cause, drained.hold) == ("drain", "drain")
        await fleet.until_gate(OPENAI, "closed")
        await fleet.hold("pin", "openai", duration_s=60)
        await fleet.say("openai", Status.DOWN)
        await fleet.say("mistral", Status.DOWN)
        await fleet.until_gate("mistral", "open")
        pinned = fleet.gate("openai")
        assert pinned is not None
        assert (pinned.state, pinned.hold) == ("closed", "pin")


async def test_a_hold_of_a_model_that_no_catalog_knows_holds_and_is_warned_about(
    nats_url: str, postgres_dsn: str, fleet: Fleet, tmp_path: Path
) -> None:
    async with running(nats_url, postgres_dsn, tmp_path):
        await fleet.until_controller("one")
        assert (await fleet.hold("drain", "openai", MODEL)).warnings == []
        (warning,) = (await fleet.hold("drain", "openai", "gpt-5.4-mimi")).warnings
        assert "'openai/gpt-5.4-mimi' is not in the catalog" in warning
        assert "did you mean openai/gpt-5.4-mini" in warning
        await fleet.until_gate("openai/gpt-5.4-mimi", "open")


async def test_the_controller_is_killed_and_another_goes_on_from_the_same_state(
    nats_url: str, postgres_dsn: str, fleet: Fleet, tmp_path: Path
) -> None:
    told = environment(nats_url, postgres_dsn, tmp_path, "one")
    async with service_process("failover", told, tmp_path / "one.log") as one:
        await fleet.until_controller("one")
        async with running(nats_url, postgres_dsn, tmp_path, "two"):
            await fleet.force("mistral")
            await fleet.say("openai", Status.DOWN)
            before = await fleet.until_gate("openai", "open")
            await fleet.until_events("switched", "switched")
            await one.kill()
            await fleet.until_controller("two")
            await fleet.say("anthropic", Status.DOWN)
            await fleet.until_gate("anthropic", "open")
            assert fleet.gate("openai") == before
            by_hand = fleet.gate("mistral")
            assert by_hand is not None
            assert by_hand.hold == "out"
            await fleet.say("openai", Status.HEALTHY)
            await fleet.say("anthropic", Status.HEALTHY)
            await fleet.say("mistral", Status.HEALTHY)
            await fleet.until_gate("openai", "closed")
            await fleet.until_gate("anthropic", "closed")
            still = fleet.gate("mistral")
            assert still is not None
            assert (still.state, still.sequence) == ("open", 1)
            await fleet.until_events("switched", "switched", "switched", "recovered", "recovered")


async def test_what_was_not_saved_at_a_kill_is_saved_by_the_next_controller(
    nats_url: str, postgres_dsn: str, database: Database, fleet: Fleet, tmp_path: Path
) -> None:
    async with postgres_proxy(postgres_dsn) as proxy:
        told = environment(nats_url, proxy.dsn, tmp_path, "one")
        async with service_process("failover", told, tmp_path / "one.log") as one:
            await fleet.until_controller("one")
            await fleet.say("openai", Status.HEALTHY)
            await proxy.cut()
            await fleet.say("openai", Status.DOWN)
            await fleet.until_gate("openai", "open")
            await fleet.say("openai", Status.HEALTHY)
            await fleet.until_gate("openai", "closed")
            await fleet.force("mistral")
            await one.kill()
        async with running(nats_url, proxy.dsn, tmp_path, "two"):  # the database is still away
            await fleet.until_controller("two")
            await fleet.say("anthropic", Status.DOWN)
            await fleet.until_gate("anthropic", "open")
            assert (await fleet.state())["mistral"].state == "open"
            assert await fleet.events() == []
            await proxy.mend()
            events = await fleet.until_events("switched", "recovered", "switched", "switched")
            named = [
                each.from_target if isinstance(each, FailoverSwitched) else each.to_target for each in events
            ]
            assert named == ["openai", "openai", "mistral", "anthropic"]
            assert await saved_gates(database) == {
                "openai": ("closed", 5),
                "mistral": ("open", 1),
                "anthropic": ("open", 1),
            }
            await until(lambda: not fleet.seen[-1].unsaved, 15)


async def test_the_bus_is_killed_while_a_gate_is_open(
    nats_server: NatsServer, postgres_dsn: str, fleet: Fleet, tmp_path: Path
) -> None:
    async with running(nats_server.url, postgres_dsn, tmp_path):
        await fleet.say("openai", Status.DOWN)
        before = await fleet.until_gate("openai", "open")
        await fleet.until_events("switched")
        nats_server.kill()
        nats_server.start()
        await nats_server.ready()
        await fleet.say("mistral", Status.DOWN)
        await fleet.until_gate("mistral", "open")
        assert fleet.gate("openai") == before
        await fleet.say("openai", Status.HEALTHY)
        await fleet.until_gate("openai", "closed")
        await fleet.until_events("switched", "switched", "recovered")


async def test_a_controller_that_was_frozen_contradicts_nobody_when_it_wakes(
    nats_url: str, postgres_dsn: str, fleet: Fleet, tmp_path: Path
) -> None:
    told = environment(nats_url, postgres_dsn, tmp_path, "one")
    async with service_process("failover", told, tmp_path / "one.log") as one:
        await fleet.until_controller("one")
        assert one.process is not None
        async with running(nats_url, postgres_dsn, tmp_path, "two"):
            one.process.send_signal(signal.SIGSTOP)
            await fleet.say("mistral", Status.DOWN)  # waits in the frozen controller's socket
            await fleet.until_controller("two")
            await fleet.until_gate("mistral", "open")
            await fleet.say("openai", Status.DOWN)
            await fleet.until_gate("openai", "open")
            one.process.send_signal(signal.SIGCONT)
            await until(lambda: "failover.controller was lost" in one.log)
            await fleet.say("anthropic", Status.DOWN)
            await fleet.until_gate("anthropic", "open")
            versions = [snapshot.version for snapshot in fleet.seen]
            assert versions == sorted(versions)
            assert fleet.gate("openai") is not None
            kinds = [
                each.from_target for each in await fleet.until_events("switched", "switched", "switched")
            ]
            assert kinds == ["mistral", "openai", "anthropic"]


async def test_a_stray_snapshot_is_put_right(
    nats_url: str, postgres_dsn: str, fleet: Fleet, tmp_path: Path
) -> None:
    """A controller that was cut off may still get a last, outdated word in."""
    async with running(nats_url, postgres_dsn, tmp_path):
        await fleet.say("openai", Status.DOWN)
        await fleet.until_gate("openai", "open")
        await fleet.client.jetstream().publish("$KV.failover.fleet", b'{"version": 1}')
        await fleet.until_gate("openai", "closed")
        await fleet.until_gate("openai", "open")


async def test_a_workspaces_own_trigger_moves_its_traffic_alone_and_brings_it_back(
    nats_url: str, postgres_dsn: str, fleet: Fleet, tmp_path: Path
) -> None:
    rule = {
        "name": "careful",
        "chain": ["mistral"],
        "triggers": {"consecutive_failures": 2},
        "recovery": {"hold_s": 1, "step_s": 0.1},
    }
    put = ops.PutConfig.model_validate({"workspace_id": 1, "config": {"rules": [rule]}})
    async with running(nats_url, postgres_dsn, tmp_path):
        await fleet.until_controller("one")
        await fleet.rpc.call(ops.PUT_CONFIG, put)
        await until(lambda: "policy.1" in fleet.policies)

        well = [None] * 20  # so many that the fleet's own breaker does not move
        await fleet.report("openai", *well, ErrorClass.SERVER_ERROR, ErrorClass.SERVER_ERROR)
        switched = (await fleet.until_events("switched"))[0]
        assert isinstance(switched, FailoverSwitched)
        assert (switched.from_target, switched.to_target, switched.cause) == (
            OPENAI,
            "mistral",
            "consecutive_failures",
        )
        assert switched.gate == f"@1/careful@{OPENAI}"
        assert switched.evidence[0].detail == "2 calls in a row failed"
        await until(lambda: fleet.policy_gate("1/careful", OPENAI) == "closed")
        assert fleet.gate(OPENAI) is None
        _, recovered = await fleet.until_events("switched", "recovered")
        assert isinstance(recovered, FailoverRecovered)
        assert recovered.switched_event_id == switched.event_id


async def test_a_rule_that_was_not_heard_of_yet_is_not_taken_for_gone(nats_client: Client) -> None:
    store, prober = cast("FailoverStore", None), cast("Prober", None)  # nothing is saved or tried here
    controller = Controller(nats_client, store, "one", ["openai"], GateSettings(), prober, lambda: None)
    guarded = Guarded(1, "careful", Target("openai", MODEL))
    controller._records = {"openai": GateRecord("openai")}
    controller._watch.records = {guarded: GateRecord(guarded.key, state=GateState.OPEN, opened_at=1.0)}
    controller._tick(1000.0)
    assert controller._watch.records[guarded].state is GateState.OPEN
    controller._policies.synced.set()
    controller._tick(1000.1)
    assert controller._watch.records[guarded].reason == "its rule is gone"
