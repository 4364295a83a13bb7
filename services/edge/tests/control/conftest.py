"""A control plane on a real bus and database."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import fairlead_abtest.app
import fairlead_comparison.app
import fairlead_failover.app
import fairlead_health.app
import fairlead_routing.app
import pytest
import yaml
from fairlead_abtest.settings import AbtestSettings
from fairlead_common.service import Runtime
from fairlead_common.settings import Settings
from fairlead_comparison.settings import ComparisonSettings
from fairlead_failover.settings import FailoverSettings
from fairlead_health.settings import HealthSettings
from fairlead_routing.settings import RoutingSettings
from fairlead_simulator.testing import Running
from pydantic import SecretStr

from services.edge.tests.control.plane import Plane
from tests.support.edge import edge_here, spec_of, store_keys
from tests.support.servers import free_port
from tests.support.services import service_here
from tests.support.waiting import until

Wire = Callable[[Runtime], Awaitable[None]]
SERVICES: dict[str, tuple[type[Settings], Wire]] = {
    "health": (HealthSettings, fairlead_health.app.wire),
    "failover": (FailoverSettings, fairlead_failover.app.wire),
    "routing": (RoutingSettings, fairlead_routing.app.wire),
    "comparison": (ComparisonSettings, fairlead_comparison.app.wire),
    "abtest": (AbtestSettings, fairlead_abtest.app.wire),
}


@pytest.fixture
async def plane(
    tmp_path: Path,
    nats_url: str,
    postgres_dsn: str,
    vendors: dict[str, Running],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Plane]:
    await store_keys(postgres_dsn)
    monkeypatch.setenv("TEST_KEY", "sk-test")
    specs = tuple(spec_of(vendors[name]) for name in ("openai", "google"))
    rows = [{"name": spec.name, "base_url": spec.base_url, "api_key": "${TEST_KEY}"} for spec in specs]
    providers = tmp_path / "providers.yaml"
    providers.write_text(yaml.safe_dump({"providers": rows}))
    async with AsyncExitStack() as stack:
        edge = await stack.enter_async_context(
            edge_here(tmp_path / "edge", specs, nats_url=nats_url, postgres_dsn=postgres_dsn)
        )
        await until(lambda: edge.fleet.access.synced.is_set() and "keys" in edge.fleet.access)

        async def start(name: str, **more: Any) -> Runtime:
            kind, wire = SERVICES[name]
            settings = kind.model_validate(
                {
                    "nats_url": SecretStr(nats_url),
                    "postgres_dsn": SecretStr(postgres_dsn),
                    "providers_file": providers,
                    "http_port": free_port(),
                    "data_dir": tmp_path / name,
                    **more,
                }
            )
            return await stack.enter_async_context(service_here(name, settings, wire))

        yield Plane(edge, start)
