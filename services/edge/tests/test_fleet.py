"""What the edge knows: from disk, from the bus, after bad news; and its own breakers."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from fairlead_common.access import AccessSnapshot, KeyEntry, key_hash
from fairlead_common.decisions.plan import GateState, NoCapacity, Plan, RouteRequest
from fairlead_common.decisions.targets import Target
from fairlead_common.outcomes import ErrorClass
from fairlead_common.snapshots.failover import FleetGate, FleetSnapshot, PolicySnapshot
from fairlead_common.snapshots.gates import GRACE_S
from fairlead_common.snapshots.publisher import SnapshotPublisher
from fairlead_common.snapshots.routes import RoutesSnapshot, RuleSnapshot, Strategy
from fairlead_edge import breakers
from fairlead_edge import fleet as fleets
from fairlead_edge.fleet import Fleet, unix_now
from fairlead_models.catalog.entries import built_in
from fairlead_models.errors import UnknownModel
from nats.aio.client import Client

from tests.support.edge import ADMIN, EXPIRED, KEYS, put_snapshot
from tests.support.waiting import until

NOW = 1_800_000_000.0
MINI = Target("openai", "gpt-5.4-mini")
PROVIDERS = ("openai", "anthropic", "google")
ASKED = RouteRequest("openai/gpt-5.4-mini", input_tokens=10)


def fleet(folder: Path) -> Fleet:
    return Fleet(PROVIDERS, built_in(datetime.now(UTC)), folder / "snapshots")


def loaded(folder: Path) -> Fleet:
    found = fleet(folder)
    found.load_disk()
    return found


def planned(known: Fleet, request: RouteRequest = ASKED, now: float = NOW) -> Plan:
    found = known.plan(request, now)
    assert isinstance(found, Plan)
    return found


def routes(workspace_id: int, **conditions: Any) -> RoutesSnapshot:
    rule = RuleSnapshot(rule_id=1, name="r", strategy=Strategy.COST, priority=1, conditions=conditions)
    return RoutesSnapshot(workspace_id=workspace_id, version=1, rules=(rule,))


# from disk


def test_a_restart_knows_what_the_last_run_knew(tmp_path: Path) -> None:
    put_snapshot(tmp_path, "access", {"keys": KEYS})
    put_snapshot(tmp_path, "routes", {"1": routes(1, providers=["google"]), "2": routes(2)})
    gate = FleetGate(state=GateState.OPEN, share=0, since=datetime.now(UTC), reason="down", sequence=1)
    policy = PolicySnapshot(workspace_id=2, version=3, enabled=False)
    put_snapshot(
        tmp_path, "failover", {"fleet": FleetSnapshot(version=1, gates={"openai": gate}), "policy.2": policy}
    )
    known = loaded(tmp_path)
    assert known.authenticate(ADMIN, NOW) is not None
    assert known.authenticate(EXPIRED, NOW) is None
    assert known.authenticate("fl-nobody", NOW) is None
    assert planned(known, RouteRequest("auto")).steps[0].target.provider == "google"
    assert planned(known, RouteRequest("gpt-5.4-mini", workspace_id=3)).steps[0].target.provider != "openai"
    assert {
        step.target.provider for step in planned(known, RouteRequest("gpt-5.4-mini", workspace_id=2)).steps
    } == {"openai"}


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"null", b"[1]", b'{"keys": 1}', b'{"keys": [1, "x"]}', b'{"keys": ["a", "b"]}']
)
def test_a_damaged_copy_is_ignored(tmp_path: Path, damage: bytes) -> None:
    folder = tmp_path / "snapshots"
    folder.mkdir()
    for bucket in ("access", "catalog", "routes", "failover", "status", "performance"):
        (folder / f"{bucket}.json").write_bytes(damage)
    known = loaded(tmp_path)
    assert known.keys is None
    assert planned(known).steps[0].target == MINI


def test_a_copy_that_cannot_be_read_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "snapshots" / "access.json").mkdir(parents=True)
    assert loaded(tmp_path).keys is None


def test_one_bad_value_spoils_no_other(tmp_path: Path) -> None:
    put_snapshot(
        tmp_path, "routes", {"1": routes(1, providers=["google"]), "2": b"{}", "3": routes(3, nonsense=True)}
    )
    put_snapshot(
        tmp_path, "failover", {"fleet": b"[]", "policy.1": PolicySnapshot(workspace_id=1, version=1)}
    )
    known = loaded(tmp_path)
    assert known.tables.keys() == {1}
    assert known.policies.keys() == {1}


# from the bus


@pytest.fixture
async def followed(tmp_path: Path, nats_client: Client) -> Any:
    """A fleet that follows an empty bus, having been told nothing by its disk but the keys."""
    put_snapshot(tmp_path, "access", {"keys": KEYS})
    known = loaded(tmp_path)
    jobs = [asyncio.create_task(job()) for job in known.jobs(nats_client)]
    await asyncio.gather(*(follower.synced.wait() for follower in known.followers))
    yield known
    for job in jobs:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)


async def test_keys_survive_a_bus_that_lost_its_data(tmp_path: Path, followed: Fleet) -> None:
    for known in (followed, loaded(tmp_path)):
        assert known.authenticate(ADMIN, NOW) is not None


async def test_news_replace_what_was_known(followed: Fleet, nats_client: Client) -> None:
    access = SnapshotPublisher(nats_client, "access")
    entry = KeyEntry(key_id="new", workspace_id=1)
    await access.put("keys", AccessSnapshot(keys={key_hash("fl-new"): entry}, workspaces={}))
    await until(lambda: followed.authenticate("fl-new", NOW) is not None)
    assert followed.authenticate(ADMIN, NOW) is None


async def test_a_bad_snapshot_keeps_the_former_in_memory_and_on_disk(
    tmp_path: Path, followed: Fleet, nats_client: Client
) -> None:
    tables, policies = SnapshotPublisher(nats_client, "routes"), SnapshotPublisher(nats_client, "failover")
    await tables.put("1", routes(1, providers=["google"]))
    await policies.put("policy.1", PolicySnapshot(workspace_id=1, version=1, enabled=False))
    await until(lambda: 1 in followed.tables and 1 in followed.policies)
    for bad in (routes(1, nonsense=1), b"{}", b"not json", b""):
        await tables.put("1", bad)
        await policies.put("policy.1", bad if isinstance(bad, bytes) else b'{"workspace_id": "x"}')
    await tables.put("2", routes(2, providers=["openai"]))
    await policies.put("policy.2", PolicySnapshot(workspace_id=2, version=1))
    await until(lambda: 2 in followed.tables and 2 in followed.policies)
    for bucket, key in (("routes", "2"), ("failover", "policy.2")):
        stored = tmp_path / "snapshots" / f"{bucket}.json"
        await until(partial(_holds, stored, key))
    for known in (followed, loaded(tmp_path)):
        assert planned(known, RouteRequest("auto")).steps[0].target.provider == "google"
        assert not known.policies[1].snapshot.enabled


def _holds(stored: Path, key: str) -> bool:
    return stored.exists() and key in orjson.loads(stored.read_bytes())


async def test_a_table_that_is_gone_decides_nothing(followed: Fleet, nats_client: Client) -> None:
    tables = SnapshotPublisher(nats_client, "routes")
    await tables.put("1", routes(1, providers=["google"]))
    await until(lambda: 1 in followed.tables)
    await tables.delete("1")
    await until(lambda: 1 not in followed.tables)
    assert planned(followed).rule is None


# the fleet's gates


def gate(state: GateState, share: float, **fields: Any) -> FleetGate:
    since = datetime.fromtimestamp(NOW, UTC)
    return FleetGate(state=state, share=share, since=since, reason="a test", sequence=1, **fields)


async def told(known: Fleet, client: Client, version: int, **gates: FleetGate) -> None:
    """The edge has heard of these gates."""
    await SnapshotPublisher(client, "failover").put("fleet", FleetSnapshot(version=version, gates=gates))

    def has_heard() -> bool:
        fleet = known.failover.get("fleet")
        return isinstance(fleet, FleetSnapshot) and fleet.version == version

    await until(has_heard)


async def test_a_hold_ends_soon_after_its_time_though_nobody_publishes_that(
    followed: Fleet, nats_client: Client
) -> None:
    until_then = datetime.fromtimestamp(NOW + 60, UTC)
    await told(followed, nats_client, 1, openai=gate(GateState.OPEN, 0, hold="drain", hold_until=until_then))
    assert planned(followed).steps[0].target != MINI
    early = planned(followed, now=NOW + 60 + GRACE_S - 1)
    assert early.steps[0].target != MINI, "the controller ends it, in steps"
    assert planned(followed, now=NOW + 60 + GRACE_S).steps[0].target == MINI


async def test_what_the_fleets_trial_has_shown_is_not_found_out_again(
    followed: Fleet, nats_client: Client
) -> None:
    failing(followed, MINI, 5, unix_now())
    await told(followed, nats_client, 1, **{str(MINI): gate(GateState.OPEN, 0)})
    assert not followed.breakers.usable(MINI, unix_now())
    await told(followed, nats_client, 2, **{str(MINI): gate(GateState.RECOVERING, 0.5)})
    assert followed.breakers.usable(MINI, unix_now())


async def test_an_edge_that_is_alone_for_long_believes_its_own_breakers(
    followed: Fleet, nats_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await told(followed, nats_client, 1, openai=gate(GateState.OPEN, 0))
    assert planned(followed).steps[0].target != MINI
    monkeypatch.setattr(fleets, "ALONE_S", -1.0)
    assert planned(followed).steps[0].target == MINI


# its own breakers


def failing(known: Fleet, target: Target, times: int, now: float = NOW) -> None:
    for _ in range(times):
        known.breakers.outcome(target, ErrorClass.SERVER_ERROR, now, 0.5)


def test_a_run_of_failures_takes_a_target_out_and_one_success_brings_it_back(tmp_path: Path) -> None:
    known = fleet(tmp_path)
    failing(known, MINI, 4)
    assert known.breakers.usable(MINI, NOW)
    failing(known, MINI, 1)
    assert not known.breakers.usable(MINI, NOW)
    assert planned(known).steps[0].target != MINI
    assert known.breakers.usable(MINI, NOW + 2)
    assert planned(known, now=NOW + 2).steps[0].target == MINI
    known.sending(MINI, NOW + 2)
    assert not known.breakers.usable(MINI, NOW + 2), "one trial at a time"
    known.breakers.outcome(MINI, None, NOW + 3, 0.5)
    assert known.breakers.usable(MINI, NOW + 3)


@pytest.mark.parametrize("error", [ErrorClass.BAD_REQUEST, ErrorClass.UNSUPPORTED, ErrorClass.CALLER_GONE])
def test_the_callers_errors_are_held_against_nobody(tmp_path: Path, error: ErrorClass) -> None:
    known = fleet(tmp_path)
    for _ in range(50):
        known.breakers.outcome(MINI, error, NOW, 0.5)
    assert not known.breakers.states


@pytest.mark.parametrize(
    ("error", "asked_s", "rests_s"),
    [
        (ErrorClass.RATE_LIMITED, 7.0, 7.0),
        (ErrorClass.RATE_LIMITED, None, breakers.RATE_LIMIT_S),
        (ErrorClass.QUOTA_EXHAUSTED, None, breakers.QUOTA_S),
        (ErrorClass.RATE_LIMITED, 1e9, breakers.MAX_REST_S),
    ],
)
def test_a_limited_target_rests_as_long_as_it_asked_for(
    tmp_path: Path, error: ErrorClass, asked_s: float | None, rests_s: float
) -> None:
    known = fleet(tmp_path)
    known.breakers.outcome(MINI, error, NOW, 0.5, asked_s)
    assert not known.breakers.usable(MINI, NOW + rests_s - 1)
    assert known.breakers.usable(MINI, NOW + rests_s)


def test_breakers_of_made_up_models_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breakers, "MAX_BREAKERS", 100)
    known = fleet(tmp_path)
    for number in range(1000):
        failing(known, Target("openai", f"made-up-{number}"), 5)
        known.breakers.outcome(MINI, None, NOW, 0.5)
    assert len(known.breakers.states) == 100
    assert MINI in known.breakers.states
    assert len(known.view(1, NOW).local_gates) < 100


def test_without_failover_there_is_one_step_of_what_was_named(tmp_path: Path) -> None:
    known = fleet(tmp_path)
    alone = replace(ASKED, failover=False)
    assert len(planned(known).steps) > 1
    assert [step.target for step in planned(known, alone).steps] == [MINI]
    failing(known, MINI, 5)
    assert [step.target for step in planned(known, alone).steps] == [MINI]
    assert len(planned(known, RouteRequest("auto", failover=False)).steps) == 1
    assert isinstance(known.plan(replace(alone, input_tokens=10**9), NOW), NoCapacity)
    with pytest.raises(UnknownModel):
        known.plan(RouteRequest("nothing"), NOW)
