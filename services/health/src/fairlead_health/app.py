"""Composition root of the health service."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial

from fairlead_common.bus.redelivery import is_away
from fairlead_common.bus.rpc import answer
from fairlead_common.bus.subscribing import consume, consume_batches
from fairlead_common.bus.topology import HEALTH_ALERTS, HEALTH_CALLS, HEALTH_DRIFT, HEALTH_PROBES
from fairlead_common.events.alerts import AlertRaised
from fairlead_common.events.health import ProviderStatus, Status
from fairlead_common.operations import alert_rules as rule_ops
from fairlead_common.operations import alerts as alert_ops
from fairlead_common.operations import health as ops
from fairlead_common.operations import notifiers as notifier_ops
from fairlead_common.operations.incidents import INCIDENTS
from fairlead_common.service import Runtime
from fairlead_common.snapshots.follower import SnapshotFollower
from fairlead_models.catalog.entries import built_in, declared
from fairlead_models.catalog.workspaces import CatalogNow
from fairlead_models.client import Clients
from fairlead_models.providers import load_providers
from fairlead_models.transport.http1 import Http1Transport
from faststream.nats import NatsBroker

from fairlead_health.aggregator import Aggregator
from fairlead_health.alert_api import AlertApi
from fairlead_health.alert_store import AlertStore
from fairlead_health.api import HealthApi
from fairlead_health.changes import settle
from fairlead_health.delivery.courier import Courier
from fairlead_health.delivery.groups import GroupStore
from fairlead_health.delivery.senders import Sender
from fairlead_health.delivery.store import DeliveryStore
from fairlead_health.domain.notifiers import VARIABLE
from fairlead_health.drift import WireDrifts
from fairlead_health.figures import FigureStore, Measurements
from fairlead_health.incidents import IncidentApi
from fairlead_health.metrics import DeliveryMetrics, HealthCollector
from fairlead_health.notifiers import NotifierApi, NotifierBook
from fairlead_health.probes import Prober
from fairlead_health.results import Ledger, ProbeResults
from fairlead_health.rules import RulesApi
from fairlead_health.settings import HealthSettings
from fairlead_health.store import HealthStore
from fairlead_health.windows import WindowStore

logger = logging.getLogger(__name__)

HOUSEKEEPING_S = 5.0
COUNT_TOGETHER_S = 3.0
"""Frames wait this long for each other to be counted into the windows in one transaction."""
PRUNE_EVERY = 720


async def wire(runtime: Runtime) -> None:
    """Connect everything."""
    settings = HealthSettings.model_validate(runtime.settings.model_dump())
    specs = load_providers(settings.providers_file, os.environ)
    providers = tuple(spec.name for spec in specs)
    transport = Http1Transport()
    runtime.on_stop(transport.close)
    now = datetime.now(UTC)
    catalog = CatalogNow([*built_in(now), *declared(specs, now)], providers)
    states = SnapshotFollower("provider-status", ProviderStatus.model_validate_json)
    store, windows = HealthStore(runtime.database), WindowStore(runtime.database)
    alert_store = AlertStore(runtime.database)
    results = ProbeResults(runtime.database)
    ledger = Ledger(results)

    def status_of(provider: str) -> Status:
        found = states.get(provider)
        return found.status if found is not None else Status.UNKNOWN

    default_probe = ops.ProbeIn(
        interval_s=settings.probe_interval_s,
        daily_budget_usd=settings.probe_daily_budget_usd,
        monthly_budget_usd=settings.probe_monthly_budget_usd,
    )
    prober = Prober(
        Clients(specs, transport),
        catalog,
        runtime.publisher,
        settings.instance,
        lambda provider: api.probe_of(provider),
        status_of,
        ledger,
    )
    regions = {spec.name: spec.region for spec in specs}
    api = HealthApi(
        runtime.client, store, windows, results, ledger, prober, regions, default_probe, settings.scaling
    )
    aggregator = Aggregator(
        runtime.client,
        store,
        alert_store,
        windows,
        Measurements(FigureStore(runtime.database), providers),
        runtime.publisher,
        prober,
        specs,
        transport,
        settings,
        runtime.owner,
    )
    drifts = WireDrifts(runtime.client, runtime.publisher, alert_store, settings.runbooks_url)
    consume_batches(runtime.broker, HEALTH_CALLS, api.on_frames, wait_s=COUNT_TOGETHER_S)
    consume(runtime.broker, HEALTH_PROBES, prober.on_tick, hands_on=True)
    consume(runtime.broker, HEALTH_DRIFT, drifts.on_drift)
    answer(runtime.broker, ops.SUMMARY, api.summary)
    answer(runtime.broker, ops.PROVIDER, api.provider)
    answer(runtime.broker, ops.HISTORY, api.history)
    answer(runtime.broker, ops.PROBES, api.probes)
    answer(runtime.broker, ops.PUT_PROBE, api.put_probe)
    answer(runtime.broker, ops.RUN_PROBE, api.run_probe)
    answer(runtime.broker, ops.PROBE_RESULTS, api.probe_results)
    answer(runtime.broker, ops.SET_MAINTENANCE, api.set_maintenance)
    answer(runtime.broker, ops.END_MAINTENANCE, api.end_maintenance)
    secrets = {name: value for name, value in os.environ.items() if VARIABLE.fullmatch(name)}
    groups, deliveries = GroupStore(runtime.database), DeliveryStore(runtime.database)
    courier = Courier(
        runtime.publisher,
        groups,
        deliveries,
        NotifierBook(alert_store),
        Sender(transport, secrets),
        DeliveryMetrics(runtime.registry),
    )
    consume(runtime.broker, HEALTH_ALERTS, courier.on_alert, in_flight=1)
    notifiers = NotifierApi(alert_store, deliveries, providers, secrets, courier.attempt, courier.regroup)
    _answer_notifiers(runtime.broker, notifiers)
    runtime.spawn(courier.run)
    found = IncidentApi(runtime.client, store, alert_store, providers)
    answer(runtime.broker, INCIDENTS, found.incidents)
    settled = partial(settle, runtime.client)
    _answer_alerts(
        runtime.broker,
        AlertApi(alert_store, providers, settled),
        RulesApi(alert_store, providers, settled),
    )
    runtime.spawn(partial(states.follow, runtime.client))
    runtime.spawn(partial(catalog.follower.follow, runtime.client))
    active = SnapshotFollower("alerts-active", AlertRaised.model_validate_json)
    runtime.spawn(partial(active.follow, runtime.client))
    runtime.registry.register(HealthCollector(states, active))
    runtime.spawn(prober.work)
    runtime.spawn(aggregator.run)
    runtime.spawn(drifts.run)
    runtime.spawn(partial(keep_house, api, (windows.prune, results.prune, deliveries.prune, groups.prune)))


def _answer_alerts(broker: NatsBroker, alerts: AlertApi, rules: RulesApi) -> None:
    answer(broker, alert_ops.ALERTS, alerts.alerts)
    answer(broker, alert_ops.ACKNOWLEDGE, alerts.acknowledge)
    answer(broker, alert_ops.SILENCE, alerts.silence)
    answer(broker, alert_ops.SILENCES, alerts.silences)
    answer(broker, alert_ops.END_SILENCE, alerts.end_silence)
    answer(broker, rule_ops.RULES, rules.rules)
    answer(broker, rule_ops.PUT_RULES, rules.put_rules)
    answer(broker, rule_ops.CHECK_RULES, rules.check_rules)
    answer(broker, rule_ops.RULE_VERSIONS, rules.rule_versions)


def _answer_notifiers(broker: NatsBroker, notifiers: NotifierApi) -> None:
    answer(broker, notifier_ops.NOTIFIERS, notifiers.notifiers)
    answer(broker, notifier_ops.PUT_NOTIFIERS, notifiers.put_notifiers)
    answer(broker, notifier_ops.CHECK_NOTIFIERS, notifiers.check_notifiers)
    answer(broker, notifier_ops.TEST_NOTIFIER, notifiers.test_notifier)
    answer(broker, notifier_ops.DELIVERIES, notifiers.deliveries)


async def keep_house(api: HealthApi, prunes: tuple[Callable[[], Awaitable[None]], ...]) -> None:
    """Read the schedules every now and then, and forget what no window needs."""
    rounds = 0
    while True:
        try:
            await api.read_schedules()
            if rounds % PRUNE_EVERY == 0:
                for prune in prunes:
                    await prune()
        except Exception as error:
            if not is_away(error):
                raise
            logger.warning("schedules cannot be read: %s", type(error).__name__)
        rounds += 1
        await asyncio.sleep(HOUSEKEEPING_S)
