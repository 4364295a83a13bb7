"""``routing.decide`` on a real bus: rules, the fleet's state, and the learned table decide, as at an edge."""

import asyncio
from collections.abc import Callable

import orjson
import pytest
from fairlead_common.access import BudgetSettings
from fairlead_common.bus.rpc import RpcClient, RpcError
from fairlead_common.events.comparison import ModelPerformance, ProviderPerformance
from fairlead_common.events.health import ProviderStatus, Status
from fairlead_common.ids import utc_now
from fairlead_common.operations import routing as rules
from fairlead_common.operations import routing_decide as ops
from fairlead_common.snapshots.budgets import BudgetsSnapshot
from fairlead_common.snapshots.failover import PolicySnapshot
from fairlead_common.snapshots.publisher import SnapshotPublisher
from fairlead_common.snapshots.spend import SpendSnapshot
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.catalog.entries import built_in
from fairlead_models.catalog.workspaces import ALL
from fairlead_models.providers import BUILT_IN
from nats.aio.client import Client

from services.routing.tests.test_service import running

MINI, FLASH = "openai/gpt-5.4-mini", "google/gemini-3.8-flash"


class Asker:
    """A program on the bus, and what it may find there."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.rpc = RpcClient(client)

    async def decide(self, model: str = "auto", **more: object) -> ops.Decided:
        request = ops.Features.model_validate({"model": model, **more})
        return await self.rpc.call(ops.DECIDE, ops.DecideQuery(workspace_id=1, request=request))

    async def until(self, condition: Callable[[ops.Decided], bool]) -> ops.Decided:
        """The first decision of which ``condition`` holds."""
        async with asyncio.timeout(30):
            while True:
                try:
                    if condition(found := await self.decide()):
                        return found
                except RpcError as error:
                    if error.status != 503:
                        raise
                await asyncio.sleep(0.02)

    async def rule(self, name: str, strategy: str, **conditions: object) -> None:
        rule = rules.RuleIn(name=name, strategy=strategy, conditions=conditions)
        await self.rpc.call(rules.CREATE, rules.CreateRule(workspace_id=1, rule=rule))

    async def put(self, bucket: str, key: str, value: object) -> None:
        data = value if isinstance(value, bytes) else value.model_dump_json().encode()  # type: ignore[attr-defined]
        await SnapshotPublisher(self.client, bucket).put(key, data)

    async def budget(self, **limits: object) -> None:
        budgets = {1: BudgetSettings.model_validate(limits)} if limits else {}
        await self.put("budgets", "workspaces", BudgetsSnapshot(budgets=budgets))

    async def spent(self, usd: float) -> None:
        record = {"workspace_id": 1, "day": utc_now().date(), "day_usd": usd, "month_usd": usd, "counted": {}}
        await self.put("spend", "1", SpendSnapshot.model_validate(record))

    async def status(self, provider: str, found: Status, region: str | None = None) -> None:
        state = ProviderStatus(
            provider=provider, status=found, since=utc_now(), sequence=1, reason="test", region=region
        )
        await self.put("provider-status", provider, state)


@pytest.fixture
async def asker(nats_client: Client) -> Asker:
    found = Asker(nats_client)
    catalog = Catalog(built_in(utc_now()), BUILT_IN)
    await found.put("catalog", ALL, orjson.dumps(catalog.to_snapshot()))
    return found


async def test_rules_and_the_state_of_the_fleet_decide(
    nats_url: str, postgres_dsn: str, asker: Asker
) -> None:
    async with running(nats_url, postgres_dsn):
        usual = await asker.until(lambda found: True)
        assert (usual.rule, usual.strategy, usual.table_version) == (None, "balanced", 0)
        assert len(usual.alternatives) == len(set(usual.alternatives)) > 1
        await asker.status("openai", Status.HEALTHY, "eu")
        await asker.status("google", Status.HEALTHY, "us")
        await asker.rule("here", "latency", regions=["eu"], targets=[MINI, FLASH])
        found = await asker.until(lambda found: found.rule == "here")
        assert (found.target, found.probability, found.table_version) == (MINI, 1.0, 1)
        await asker.status("google", Status.HEALTHY, "eu")
        row = {"provider": "google", "model": FLASH.partition("/")[2], "calls": 50, "failures": 0}
        quick = ModelPerformance.model_validate({**row, "latency_p50_ms": 60, "ttft_p50_ms": 30})
        figures = ProviderPerformance(provider="google", window_s=60, window_end=utc_now(), models=(quick,))
        await asker.put("performance", "google", figures)
        found = await asker.until(lambda found: found.target == FLASH)
        assert found.alternatives[0] == MINI
        assert (await asker.decide()).decision_id != found.decision_id
        await asker.status("google", Status.DOWN, "eu")
        await asker.until(lambda found: found.target == MINI)
        policy = PolicySnapshot(workspace_id=1, version=1, primary_provider="google")
        await asker.status("google", Status.HEALTHY, "eu")
        await asker.put("performance", "google", figures.model_copy(update={"models": ()}))
        await asker.put("failover", "policy.1", policy)
        await asker.until(lambda found: found.target == FLASH)


async def test_what_cannot_be_decided_is_refused_with_the_reason(
    nats_url: str, postgres_dsn: str, nats_client: Client, asker: Asker
) -> None:
    async with running(nats_url, postgres_dsn):
        await asker.until(lambda found: True)
        with pytest.raises(RpcError, match="nothing") as refused:
            await asker.decide("nothing")
        assert (refused.value.status, refused.value.code) == (404, "unknown_model")
        with pytest.raises(RpcError, match="lacks flying") as refused:
            await asker.decide(MINI, needs=["flying"])
        assert refused.value.status == 400


async def test_a_conversation_stays_where_it_is(nats_url: str, postgres_dsn: str, asker: Asker) -> None:
    async with running(nats_url, postgres_dsn):
        await asker.rule("talk", "round_robin", sticky="conversation")
        await asker.until(lambda found: found.rule == "talk")
        first = {str(n): (await asker.decide(conversation=str(n))).target for n in range(20)}
        assert first == {key: (await asker.decide(conversation=key)).target for key in first}
        assert len(set(first.values())) > 1


async def test_the_budget_of_the_workspace_counts_as_far_as_it_is_recorded(
    nats_url: str, postgres_dsn: str, asker: Asker
) -> None:
    async with running(nats_url, postgres_dsn):
        assert (await asker.until(lambda found: True)).not_considered == [*ops.OF_EDGES, "budget"]
        await asker.budget(monthly_usd=10.0, when_spent="cheapest")
        await asker.rule("poor", "cost", when="budget.remaining_share < 0.25")
        found = await asker.until(
            lambda found: found.table_version == 1 and "budget" not in found.not_considered
        )
        assert (found.rule, found.not_considered) == (None, [*ops.OF_EDGES])
        await asker.spent(8.0)
        poor = await asker.until(lambda found: found.rule == "poor")
        await asker.spent(10.0)
        await asker.until(lambda found: (found.rule, found.strategy) == ("poor", "cheapest"))
        assert poor.strategy == "cost"
        await asker.budget(monthly_usd=10.0)
        with pytest.raises(RpcError, match="budget of workspace 1 is spent") as refused:
            await asker.until(lambda found: False)
        assert (refused.value.status, refused.value.code) == (402, "budget_spent")
        await asker.budget()
        await asker.until(lambda found: found.rule is None)
