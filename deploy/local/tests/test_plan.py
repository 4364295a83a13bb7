"""The plan of a run: what is started, with which environment, on which ports."""

import itertools
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from fairlead.data_dir import DataDir
from fairlead.errors import BadInput
from fairlead.options import UpOptions
from fairlead.plan import SERVICES, Kind, Machine, Plan, ProcessSpec, account_names, check_settings, make_plan
from fairlead.providers import Providers, choose
from fairlead_common.settings import Settings
from fairlead_edge.settings import EdgeSettings
from fairlead_health.settings import HealthSettings

MACHINE = Machine("python", Path("/bin/nats-server"), Path("/pg/bin"), None)
PASSWORDS = {name: f"password-of-{name}" for name in account_names()}
FOLDER = DataDir.of(Path("/data/of run"))
NO_KEYS: Mapping[str, str] = {}


def planned(
    options: UpOptions | None = None,
    environ: Mapping[str, str] = NO_KEYS,
    providers: Providers | None = None,
) -> Plan:
    options = options or UpOptions()
    return make_plan(
        options,
        FOLDER,
        providers or choose(None, environ, simulators=True),
        SERVICES,
        MACHINE,
        PASSWORDS,
        "fl-key",
        itertools.count(20_000),
        environ,
    )


def everything(plan: Plan) -> list[ProcessSpec]:
    found = [*plan.nats, plan.postgres, plan.setup, *plan.simulators, *plan.services, *plan.edges]
    return [*found, plan.demo] if plan.demo else found


def settings_of(spec: ProcessSpec) -> dict[str, str]:
    return {name: value for name, value in spec.environment.items() if name.startswith("FAIRLEAD_")}


def test_without_keys_every_built_in_provider_is_simulated() -> None:
    plan = planned()
    assert [spec.name for spec in plan.simulators] == [
        f"simulator-{vendor}" for vendor in ("openai", "anthropic", "google", "mistral", "cohere")
    ]
    assert set(plan.simulator_urls) == {"openai", "anthropic", "google", "mistral", "cohere"}


def test_a_provider_with_a_key_has_no_simulator() -> None:
    plan = planned(environ={"OPENAI_API_KEY": "sk-real"})
    assert "simulator-openai" not in [spec.name for spec in plan.simulators]
    assert plan.edges[0].environment["OPENAI_API_KEY"] == "sk-real"


def test_every_service_runs_as_a_process_of_its_own() -> None:
    plan = planned()
    assert [spec.name for spec in plan.services] == [service.name for service in SERVICES]
    assert plan.services[0].command == ("python", "-m", "fairlead_health")
    assert [spec.name for spec in plan.edges] == ["edge"]


def test_control_services_stand_back_for_the_request_path() -> None:
    plan = planned()
    assert {spec.niceness for spec in plan.services} == {10}
    assert {spec.niceness for spec in (*plan.edges, *plan.nats, *plan.simulators, plan.postgres)} == {0}


def test_replicas_and_edges_are_numbered_and_the_first_edge_gets_the_port() -> None:
    plan = planned(UpOptions(port=9000, edges=3, replicas=2))
    assert [spec.name for spec in plan.edges] == ["edge", "edge-2", "edge-3"]
    assert plan.edge_url == "http://127.0.0.1:9000"
    assert [spec.name for spec in plan.services][:4] == ["health", "health-2", "failover", "failover-2"]


def test_no_two_processes_share_a_port_a_name_or_a_private_folder() -> None:
    plan = planned(UpOptions(port=0, edges=3, replicas=2, demo=True))
    specs = everything(plan)
    urls = [spec.url for spec in specs if spec.url] + [each.url for each in plan.simulator_urls.values()]
    folders = [spec.environment["FAIRLEAD_DATA_DIR"] for spec in (*plan.services, *plan.edges)]
    for found in (urls, [spec.name for spec in specs], folders):
        assert len(found) == len(set(found))
    (node,) = plan.nats_nodes
    assert f"http://127.0.0.1:{node.port}" not in urls


def test_services_are_given_settings_that_they_accept() -> None:
    plan = planned()
    kinds = {"health": HealthSettings}
    for spec in plan.services:
        found = kinds.get(spec.name, Settings).from_env(spec.environment)
        assert f"http://127.0.0.1:{found.http_port}" == spec.url
        assert found.instance == spec.name
    edge = EdgeSettings.from_env(plan.edges[0].environment)
    assert edge.http_port == 8080
    assert edge.postgres_dsn is not None


def test_settings_of_the_user_reach_no_process_but_for_the_common_ones() -> None:
    environ = {
        "FAIRLEAD_HTTP_PORT": "1",
        "FAIRLEAD_NONSENSE": "2",
        "FAIRLEAD_LOG_LEVEL": "DEBUG",
        "LANG": "C",
    }
    health = planned(environ=environ).services[0]
    assert "FAIRLEAD_NONSENSE" not in health.environment
    assert health.environment["FAIRLEAD_HTTP_PORT"] != "1"
    assert health.environment["FAIRLEAD_LOG_LEVEL"] == "DEBUG"
    assert health.environment["LANG"] == "C"


def test_each_service_connects_as_a_user_of_its_own() -> None:
    plan = planned()
    for spec in (*plan.services, *plan.edges, plan.setup):
        url = spec.environment["FAIRLEAD_NATS_URL"]
        assert url == f"nats://{spec.name}:password-of-nats.{spec.name}@127.0.0.1:{plan.nats_nodes[0].port}"


def test_a_bus_of_three_nodes_is_known_to_everybody_and_keeps_three_copies() -> None:
    plan = planned(UpOptions(nats_nodes=3))
    assert [spec.name for spec in plan.nats] == ["nats", "nats-2", "nats-3"]
    assert len({node.folder for node in plan.nats_nodes} | {FOLDER.nats}) == 4
    where = [f"@127.0.0.1:{node.port}" for node in plan.nats_nodes]
    for spec in (*plan.services, *plan.edges, plan.setup):
        assert [each.partition("@")[2] for each in spec.environment["FAIRLEAD_NATS_URL"].split(",")] == [
            each[1:] for each in where
        ]
    assert plan.setup.environment["FAIRLEAD_STREAM_REPLICAS"] == "3"
    assert planned().setup.environment["FAIRLEAD_STREAM_REPLICAS"] == "1"


def test_programs_that_are_not_ours_get_a_bare_environment() -> None:
    plan = planned(environ={"PATH": "/bin", "PGHOST": "elsewhere", "OPENAI_API_KEY": "sk"})
    assert dict(plan.postgres.environment) == {"PATH": "/bin"}
    assert dict(plan.nats[0].environment) == {"PATH": "/bin"}


def test_every_process_of_ours_knows_where_the_dashboard_is() -> None:
    plan = planned()
    dashboard = next(spec for spec in plan.services if spec.name == "dashboard")
    assert plan.dashboard_url == dashboard.url
    assert plan.services[0].environment["FAIRLEAD_DASHBOARD_URL"] == dashboard.url


def test_an_extra_setting_reaches_its_service_alone() -> None:
    plan = planned(UpOptions(settings=(("health", "probe_interval_s", "5"),), replicas=2))
    having = [spec.name for spec in everything(plan) if "FAIRLEAD_PROBE_INTERVAL_S" in spec.environment]
    assert having == ["health", "health-2"]


def test_an_extra_setting_of_an_unknown_service_is_refused() -> None:
    with pytest.raises(
        BadInput, match=r"--set helth.x=1: there is no service 'helth'; there are edge, health"
    ):
        check_settings(UpOptions(settings=(("helth", "x", "1"),)), SERVICES)


def test_the_key_is_told_to_the_setup_step_alone() -> None:
    having = [spec.name for spec in everything(planned()) if "fl-key" in spec.environment.values()]
    assert having == ["setup"]


def test_passwords_do_not_show_in_the_representation() -> None:
    assert "password-of" not in repr(planned())


def test_postgres_listens_on_its_socket_alone_and_stops_fast() -> None:
    command = planned().postgres.command
    assert "listen_addresses=" in command
    assert f'unix_socket_directories="{FOLDER.sockets}"' in command


def test_a_path_with_a_space_is_quoted_in_the_dsn() -> None:
    assert "host=%2Fdata%2Fof%20run%2Fsockets&port=5432" in planned().postgres_dsn


def test_the_demo_runs_only_when_asked_for_and_gives_each_vendor_its_own_latency() -> None:
    assert planned().demo is None
    plan = planned(UpOptions(demo=True))
    assert plan.demo is not None
    assert plan.demo.kind is Kind.DEMO
    latencies = [json.loads(spec.command[-1])["first_token"]["median_s"] for spec in plan.simulators]
    assert len(set(latencies)) == 5
    assert "--latency" not in planned().simulators[0].command
