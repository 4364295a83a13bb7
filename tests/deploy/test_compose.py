"""docker-compose.yml: valid, complete, locked down, and its environment really runs the services."""

import asyncio
import re
import subprocess
import sysconfig
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from fairlead_abtest.settings import AbtestSettings
from fairlead_common.bus.permissions import USERS, password_variable
from fairlead_common.settings import Settings
from fairlead_common.setup import SetupSettings
from fairlead_comparison.settings import ComparisonSettings
from fairlead_edge.settings import EdgeSettings
from fairlead_failover.settings import FailoverSettings
from fairlead_health.settings import HealthSettings
from fairlead_models.providers import load_providers
from fairlead_simulator.__main__ import arguments

from tests.deploy.compose import COMPOSE, ROOT, Missing, dotenv, environment, interpolated, load
from tests.deploy.dockerfile import read
from tests.deploy.nats import Node
from tests.deploy.stack import Stack
from tests.support.servers import free_port

MAKE_ENV = ROOT / "deploy" / "compose" / "make-env"
SETTINGS: dict[str, type[Settings]] = {
    "edge": EdgeSettings,
    "health": HealthSettings,
    "failover": FailoverSettings,
    "routing": Settings,
    "comparison": ComparisonSettings,
    "abtest": AbtestSettings,
    "setup": SetupSettings,
}
VENDORS = ("openai", "anthropic", "google", "mistral", "cohere")


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """What ``make-env`` writes."""
    file = tmp_path / "env"
    subprocess.run([MAKE_ENV, file], check=True, capture_output=True)
    return dotenv(file)


def ours(found: dict[str, Any]) -> list[str]:
    """Names of the services that run our image."""
    return [name for name, each in found["services"].items() if "build" in each]


def test_it_follows_the_compose_specification() -> None:
    tool = Path(sysconfig.get_path("scripts")) / "check-jsonschema"
    done = subprocess.run(
        [tool, "--builtin-schema", "vendor.compose-spec", COMPOSE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_service_that_exists_is_there() -> None:
    programs = {
        path.parent.name.removeprefix("fairlead_") for path in ROOT.glob("services/*/src/*/__main__.py")
    }
    assert programs <= set(load()["services"])
    assert {"nats", "postgres", "setup", *(f"simulator-{vendor}" for vendor in VENDORS)} <= set(
        load()["services"]
    )


def test_each_secret_is_required_with_a_message(variables: dict[str, str]) -> None:
    text = COMPOSE.read_text()
    secrets = {
        *re.findall(r"\$\{([A-Z0-9_]*(?:PASSWORD|BOOTSTRAP_KEY))", text),
        *(password_variable(user) for user in (*USERS, "admin")),
    }
    for name in secrets:
        assert f"${{{name}}}" not in text
        assert f"${{{name}:-" not in text
        without = {each: value for each, value in variables.items() if each != name}
        with pytest.raises(Missing, match=f"{name}: run deploy/compose/make-env first"):
            interpolated(load(), without)
    assert secrets == set(variables)


def test_passwords_are_strong_and_what_nats_can_parse(variables: dict[str, str]) -> None:
    values = list(variables.values())
    assert len(values) == len(set(values))
    for name, value in variables.items():
        pattern = r"fl-[0-9a-f]{48}" if name == "FAIRLEAD_BOOTSTRAP_KEY" else r"p[0-9a-f]{48}"
        assert re.fullmatch(pattern, value), name


def test_the_file_of_secrets_is_private_and_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "env"
    subprocess.run([MAKE_ENV, file], check=True, capture_output=True)
    assert file.stat().st_mode & 0o777 == 0o600
    again = subprocess.run([MAKE_ENV, file], check=False, capture_output=True, text=True)
    assert again.returncode == 2
    assert "exists already" in again.stderr
    assert ".env" in (ROOT / ".gitignore").read_text().split()


def image_environment() -> dict[str, str]:
    (text,) = [each.text for each in read() if each.word == "ENV" and "FAIRLEAD_" in each.text]
    return dict(pair.split("=", 1) for pair in text.split() if pair.startswith("FAIRLEAD_"))


@pytest.mark.parametrize("name", SETTINGS)
def test_the_settings_of_each_service_are_known_to_it(name: str, variables: dict[str, str]) -> None:
    found = interpolated(load(), variables)["services"][name]
    assert found["command"] == [name]
    settings = SETTINGS[name].from_env({**image_environment(), **environment(found, variables)})
    assert (
        settings.nats_url.get_secret_value()
        == f"nats://{name}:{variables[password_variable(name)]}@nats:4222"
    )
    assert settings.postgres_dsn is not None
    assert settings.http_host == "0.0.0.0"


def test_what_is_unset_is_not_passed_on_and_what_is_set_is(variables: dict[str, str]) -> None:
    edge = interpolated(load(), variables)["services"]["edge"]
    assert "OPENAI_API_KEY" not in environment(edge, variables)
    given = environment(edge, {**variables, "OPENAI_API_KEY": "sk-1"})
    assert [spec.name for spec in load_providers(None, given)] == ["openai"]


def test_nats_has_a_password_for_every_user(variables: dict[str, str]) -> None:
    given = environment(interpolated(load(), variables)["services"]["nats"], variables)
    assert {password_variable(user) for user in (*USERS, "admin")} <= set(given)


def test_our_containers_can_change_nothing_but_their_own_folder(variables: dict[str, str]) -> None:
    found = load()
    for name in ours(found):
        each = found["services"][name]
        assert each["read_only"] is True
        assert each["cap_drop"] == ["ALL"]
        assert each["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in each


def test_everything_comes_back_after_a_crash_but_setup() -> None:
    found = load()["services"]
    assert found.pop("setup")["restart"] == "no"
    assert {each["restart"] for each in found.values()} == {"unless-stopped"}


def test_services_start_after_setup_and_setup_after_what_it_sets_up() -> None:
    found = load()["services"]
    for name in SETTINGS:
        if name != "setup":
            assert found[name]["depends_on"] == {"setup": {"condition": "service_completed_successfully"}}
    assert {each["condition"] for each in found["setup"]["depends_on"].values()} == {"service_healthy"}


def test_what_must_survive_is_on_named_volumes(variables: dict[str, str]) -> None:
    found = interpolated(load(), variables)
    used = {
        volume.partition(":")[0]
        for each in found["services"].values()
        for volume in each.get("volumes", [])
        if not volume.startswith((".", "/"))
    }
    assert used == set(found["volumes"])
    assert "edge-data:/data" in found["services"]["edge"]["volumes"]


def test_every_mounted_folder_is_in_the_repository(variables: dict[str, str]) -> None:
    for name, each in interpolated(load(), variables)["services"].items():
        for volume in each.get("volumes", []):
            source = volume.partition(":")[0]
            assert not source.startswith("./") or (ROOT / source).is_dir(), f"{name}: {volume}"


def test_only_the_edge_is_reachable_and_only_from_here_by_default(variables: dict[str, str]) -> None:
    found = interpolated(load(), variables)["services"]
    published = {name: each["ports"] for name, each in found.items() if "ports" in each}
    assert set(published) == {"edge", "prometheus", "grafana"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


@pytest.mark.parametrize("vendor", VENDORS)
def test_each_simulator_is_started_with_options_it_knows(vendor: str) -> None:
    command = load()["services"][f"simulator-{vendor}"]["command"]
    assert command[0] == "simulator"
    assert arguments(command[1:]).vendor == vendor


def test_the_simulators_file_names_them() -> None:
    file = COMPOSE.parent / "deploy" / "compose" / "config" / "simulators.yaml"
    specs = load_providers(file, {"SIMULATED_PROVIDER_KEY": "simulated"})
    assert {spec.name: spec.base_url.split("/")[2] for spec in specs} == {
        vendor: f"simulator-{vendor}:8080" for vendor in VENDORS
    }


def test_the_example_file_of_providers_can_be_read() -> None:
    assert load_providers(COMPOSE.parent / "deploy" / "compose" / "config" / "providers.yaml", {})


@pytest.fixture
async def bus(tmp_path: Path, variables: dict[str, str]) -> AsyncIterator[Node]:
    given = environment(interpolated(load(), variables)["services"]["nats"], variables)
    node = Node("server.conf", tmp_path, "bus", {**given})
    node.environment["NATS_STORE_DIR"] = str(tmp_path / "bus" / "data")
    node.start()
    try:
        yield node
    finally:
        node.stop()


async def use(edge: str, key: str) -> None:
    """A chat, a test of two providers, and the same call in Postgres: every service has had its part."""
    headers = {"authorization": f"Bearer {key}"}
    test = {
        "name": "greeting",
        "prompt": "Say hello",
        "providers": ["openai", "mistral"],
    }
    async with httpx.AsyncClient(base_url=edge, headers=headers, timeout=30) as http:
        (first, *_) = (await http.get("/v1/models")).json()["data"]
        question = {"model": first["id"], "messages": [{"role": "user", "content": "Hello"}]}
        answer = await http.post("/v1/chat/completions", json=question)
        assert answer.status_code == 200, answer.text
        started = await http.post("/api/providers/ab-test", json=test)
        assert started.status_code == 201, started.text
        for path in ("health", "failover", "routing/table", "models"):
            found = await http.get(f"/api/providers/{path}")
            assert found.status_code == 200, found.text
        async with asyncio.timeout(60):
            while not (await http.get("/api/providers/compare/calls")).json()["calls"]:
                await asyncio.sleep(0.1)
            path = f"/api/providers/ab-test/{started.json()['id']}"
            while (await http.get(path)).json()["status"] != "completed":
                await asyncio.sleep(0.1)


@pytest.mark.timeout(300)  # a dozen processes start, on a machine that may be busy
async def test_its_environment_runs_everything(
    tmp_path: Path, variables: dict[str, str], bus: Node, postgres_dsn: str
) -> None:
    """Every service as a process, as its own user on the bus, on simulated providers: one chat, and nothing denied."""
    variables["FAIRLEAD_PROVIDERS_FILE"] = "/etc/fairlead/simulators.yaml"
    found = interpolated(load(), variables)["services"]
    ports = {vendor: free_port() for vendor in VENDORS}
    providers = (ROOT / "deploy/compose/config/simulators.yaml").read_text()
    for vendor, port in ports.items():
        providers = providers.replace(f"simulator-{vendor}:8080", f"127.0.0.1:{port}")
    (tmp_path / "simulators.yaml").write_text(providers)
    dsn = environment(found["setup"], variables)["FAIRLEAD_POSTGRES_DSN"]
    stack = Stack(
        tmp_path, {"nats:4222": f"127.0.0.1:{bus.port}", "/etc/fairlead": str(tmp_path), dsn: postgres_dsn}
    )
    try:
        stack.run("setup", ["setup"], environment(found["setup"], variables))
        for vendor, port in ports.items():
            words = [*found[f"simulator-{vendor}"]["command"][:3], "--port", str(port)]
            stack.start(f"simulator-{vendor}", words, {})
        services = [name for name in SETTINGS if name != "setup"]
        for name in services:
            stack.start(name, found[name]["command"], environment(found[name], variables))
        await stack.all_ready(services)
        await use(stack.running["edge"].url, variables["FAIRLEAD_BOOTSTRAP_KEY"])
    finally:
        stack.stop()
    assert bus.violations() == []


def test_prometheus_watches_every_service() -> None:
    found = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in found["scrape_configs"]}
    watched = {each["labels"]["service"]: each["targets"] for each in jobs["fairlead"]["static_configs"]}
    services = [name for name in ours(load()) if name != "setup" and not name.startswith("simulator")]
    assert watched == {name: [f"{name}:8080"] for name in services}
