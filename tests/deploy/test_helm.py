"""The chart: renders and lints, valid for Kubernetes, locked down, refuses bad values, and its environment is understood."""

import json
import re
from collections.abc import Iterator
from typing import Any

import helm_python
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from fairlead_abtest.settings import AbtestSettings
from fairlead_common.bus.permissions import ACCOUNT, ROLES, USERS
from fairlead_common.bus.topology import DURABLES
from fairlead_common.run import module_of, name_replica
from fairlead_common.settings import Settings
from fairlead_common.setup import SetupSettings
from fairlead_comparison.settings import ComparisonSettings
from fairlead_edge.outcomes.shipper import Shipper
from fairlead_edge.settings import EdgeSettings
from fairlead_failover.settings import FailoverSettings
from fairlead_health.settings import HealthSettings
from fairlead_models.providers import FIELDS, WIRES, load_providers
from fairlead_models.transport.protocol import Timeouts

from tests.deploy.dockerfile import ROOT
from tests.deploy.render import CHART, PLAIN, documents, files, templates

Manifest = dict[str, Any]

SETTINGS: dict[str, type[Settings]] = {
    "edge": EdgeSettings,
    "health": HealthSettings,
    "failover": FailoverSettings,
    "routing": Settings,
    "comparison": ComparisonSettings,
    "abtest": AbtestSettings,
    "setup": SetupSettings,
}
OF_OTHERS = {"ScaledObject", "ServiceMonitor"}
OLDEST = "1.30"

EVERYTHING: Manifest = {
    "image": {"digest": "sha256:" + "0" * 64, "pullSecrets": ["registry"]},
    "fullnameOverride": "gateway",
    "setup": {"bootstrapKeySecret": "first-key"},
    "telemetry": {
        "otlpEndpoint": "http://collector:4318",
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    },
    "dashboardUrl": "https://fairlead.example.com",
    "ingress": {
        "enabled": True,
        "className": "nginx",
        "host": "llm.example.com",
        "tlsSecret": "llm-tls",
        "annotations": {"nginx.ingress.kubernetes.io/proxy-buffering": "off"},
    },
    "networkPolicy": {
        "callers": [{"namespaceSelector": {"matchLabels": {"llm": "yes"}}}],
        "monitoring": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
        "extraEgress": [
            {"ports": [{"port": 8000}], "to": [{"podSelector": {"matchLabels": {"app": "vllm"}}}]}
        ],
    },
    "pod": {
        "annotations": {"team": "platform"},
        "labels": {"cost-centre": "7"},
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "priorityClassName": "high",
    },
    "providers": {
        "list": [
            {"name": "openai", "api_key": "${OPENAI_KEY_EU}", "timeouts": {"connect_s": 2}},
            {
                "name": "our-vllm",
                "wire": "openai",
                "base_url": "http://vllm:8000/v1",
                "models": ["llama-4-70b"],
            },
        ]
    },
    "services": {
        "edge": {
            "autoscaling": {"enabled": True, "minReplicas": 3, "maxReplicas": 20},
            "settings": {"max_body_mb": 1000000, "reuse_port": False, "request_timeout_s": 300.5},
            "persistence": {"storageClass": "fast"},
        },
        "health": {"keda": {"enabled": True}},
        "comparison": {"keda": {"enabled": True, "maxReplicas": 4}},
        "abtest": {"keda": {"enabled": True, "lagThreshold": 50}},
        "failover": {"podDisruptionBudget": {"enabled": False}, "replicas": 1},
        "routing": {"keda": {"enabled": True}},
    },
}
VARIANTS: dict[str, Manifest] = {
    "default": {},
    "everything": EVERYTHING,
    "small": {
        "nats": {"streamReplicas": 1},
        "defaults": {"replicas": 1, "podDisruptionBudget": {"enabled": False}},
        "networkPolicy": {"enabled": False},
        "providers": {"secret": ""},
    },
    "without a disk": {"services": {"edge": {"persistence": {"enabled": False}}}},
    "parts": {
        "setup": {"enabled": False},
        "services": {"abtest": {"enabled": False}, "edge": {"enabled": False}, "routing": {"enabled": False}},
    },
}


def manifests(values: Manifest, name: str = "fairlead") -> list[Manifest]:
    found = templates(values, name)
    found.pop("NOTES.txt")
    return [each for text in found.values() for each in documents(text)]


def of_kind(found: list[Manifest], *kinds: str) -> list[Manifest]:
    return [each for each in found if each["kind"] in kinds]


def component(each: Manifest) -> str:
    name: str = each["metadata"]["labels"]["app.kubernetes.io/component"]
    return name


def workloads(found: list[Manifest]) -> dict[str, Manifest]:
    return {component(each): each for each in of_kind(found, "Deployment", "StatefulSet", "Job")}


def container(workload: Manifest) -> Manifest:
    (only,) = workload["spec"]["template"]["spec"]["containers"]
    found: Manifest = only
    return found


def given(workload: Manifest) -> dict[str, str]:
    """The container's environment, with samples in the place of what Secrets hold."""
    found = {}
    for each in container(workload)["env"]:
        source = each.get("valueFrom", {})
        if "fieldRef" in source:
            found[each["name"]] = f"{workload['metadata']['name']}-0"
        elif "secretKeyRef" in source:
            found[each["name"]] = f"postgresql://u:p@h/d?{source['secretKeyRef']['key']}"
        else:
            found[each["name"]] = each["value"]
    return found


every_variant = pytest.mark.parametrize("values", VARIANTS.values(), ids=list(VARIANTS))


def test_the_chart_has_no_lint() -> None:
    found = helm_python.lint(str(CHART))
    assert found["errors"] == []
    assert [each["error"] for each in found["messages"]] == ["icon is recommended"]


@every_variant
@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
def test_every_manifest_is_valid(values: Manifest, version: str) -> None:
    for each in manifests(values):
        if each["kind"] not in OF_OTHERS:
            kubernetes_validate.validate(each, version, strict=True)


def test_the_oldest_kubernetes_is_the_one_the_chart_asks_for() -> None:
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"] == f">={OLDEST}.0-0"


@every_variant
@pytest.mark.parametrize("name", ["fairlead", "a-release-with-a-name-that-is-as-long-as-53-letters-are"])
def test_names_are_unique_and_short_enough(values: Manifest, name: str) -> None:
    found = [(each["kind"], each["metadata"]["name"]) for each in manifests(values, name)]
    assert len(found) == len(set(found))
    # A pod of a Deployment adds up to 17 characters, and its name is the replica's, which has at most 63.
    assert max(len(name) for _, name in found) <= 52


@every_variant
def test_everything_selects_what_is_there(values: Manifest) -> None:
    found = manifests(values)
    pods = [each["spec"]["template"]["metadata"]["labels"] for each in workloads(found).values()]
    for each in of_kind(
        found, "Service", "Deployment", "StatefulSet", "PodDisruptionBudget", "NetworkPolicy"
    ):
        spec = each["spec"]
        selector = spec["selector"] if "selector" in spec else spec["podSelector"]
        selector = selector.get("matchLabels", selector)
        assert len([labels for labels in pods if selector.items() <= labels.items()]) == 1, each["metadata"][
            "name"
        ]
    named = {(each["kind"], each["metadata"]["name"]) for each in found}
    for each in of_kind(found, "HorizontalPodAutoscaler", "ScaledObject"):
        target = each["spec"]["scaleTargetRef"]
        assert (target["kind"], target["name"]) in named
    for each in of_kind(found, "Ingress"):
        backend = each["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
        assert ("Service", backend["name"]) in named


@every_variant
def test_pods_are_locked_down(values: Manifest) -> None:
    for each in workloads(manifests(values)).values():
        pod = each["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert container(each)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"requests", "limits"} <= set(container(each)["resources"])


@every_variant
def test_secrets_are_references(values: Manifest) -> None:
    found = manifests(values)
    assert not of_kind(found, "Secret")
    for each in workloads(found).values():
        for variable in container(each)["env"]:
            if variable["name"] in ("FAIRLEAD_NATS_URL", "FAIRLEAD_POSTGRES_DSN", "FAIRLEAD_BOOTSTRAP_KEY"):
                assert "secretKeyRef" in variable["valueFrom"]


@every_variant
def test_each_service_understands_its_environment(values: Manifest) -> None:
    for name, each in workloads(manifests(values)).items():
        assert container(each)["args"] == [name]
        assert module_of(name)
        environment = given(each)
        name_replica(environment, "host")
        settings = SETTINGS[name].from_env(environment)
        assert settings.nats_url.get_secret_value().endswith(f"?{name}"), "its own user"
        assert name in USERS


def test_numbers_are_written_as_settings_can_read_them() -> None:
    edge = EdgeSettings.from_env(given(workloads(manifests(EVERYTHING))["edge"]))
    assert (edge.max_body_mb, edge.reuse_port, edge.request_timeout_s) == (1_000_000, False, 300.5)


@every_variant
def test_life_and_readiness_are_asked_for_where_they_are_told(values: Manifest) -> None:
    for name, each in workloads(manifests(values)).items():
        if name != "setup":
            assert container(each)["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "http"}
            assert container(each)["startupProbe"]["httpGet"] == {"path": "/livez", "port": "http"}
            assert container(each)["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}


def test_an_edge_has_the_time_to_drain() -> None:
    edge = workloads(manifests({"services": {"edge": {"preStopSeconds": 5, "stopSeconds": 600}}}))["edge"]
    settings = EdgeSettings.from_env(given(edge))
    assert container(edge)["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
    assert settings.drain_s == 600
    assert edge["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= 5 + settings.drain_s + 5 + 10


def test_the_journal_of_an_edge_survives_its_pod() -> None:
    edge = workloads(manifests({}))["edge"]
    assert edge["kind"] == "StatefulSet"
    assert edge["spec"]["persistentVolumeClaimRetentionPolicy"] == {
        "whenDeleted": "Retain",
        "whenScaled": "Retain",
    }
    (claim,) = edge["spec"]["volumeClaimTemplates"]
    assert {"name": claim["metadata"]["name"], "mountPath": "/data"} in container(edge)["volumeMounts"]
    assert Shipper.__doc__, "what is journalled there"


def test_without_a_disk_an_edge_is_a_deployment() -> None:
    edge = workloads(manifests(VARIANTS["without a disk"]))["edge"]
    assert edge["kind"] == "Deployment"
    assert {"name": "data", "emptyDir": {"sizeLimit": "4Gi"}} in edge["spec"]["template"]["spec"]["volumes"]


@every_variant
def test_every_mount_has_its_volume(values: Manifest) -> None:
    for each in workloads(manifests(values)).values():
        volumes = {volume["name"] for volume in each["spec"]["template"]["spec"]["volumes"]}
        volumes |= {claim["metadata"]["name"] for claim in each["spec"].get("volumeClaimTemplates", [])}
        assert {mount["name"] for mount in container(each)["volumeMounts"]} == volumes


def test_the_providers_file_can_be_read(tmp_path: Any) -> None:
    (found,) = of_kind(manifests(EVERYTHING), "ConfigMap")
    file = tmp_path / "providers.yaml"
    file.write_text(found["data"]["providers.yaml"])
    specs = load_providers(file, {"OPENAI_KEY_EU": "sk-1"})
    assert [(spec.name, spec.api_key) for spec in specs] == [("openai", "sk-1"), ("our-vllm", None)]


def test_pods_start_anew_when_the_providers_change() -> None:
    def sums(values: Manifest) -> set[str]:
        annotations = [
            each["spec"]["template"]["metadata"].get("annotations", {})
            for each in workloads(manifests(values)).values()
        ]
        return {each["checksum/providers"] for each in annotations if "checksum/providers" in each}

    assert len(sums({})) == 1
    assert sums({}) != sums(EVERYTHING)


def test_every_service_that_exists_is_deployed() -> None:
    programs = {
        path.parent.name.removeprefix("fairlead_") for path in ROOT.glob("services/*/src/*/__main__.py")
    }
    assert programs <= set(workloads(manifests({})))


def test_keda_measures_the_durables_of_each_service() -> None:
    services = yaml.safe_load((CHART / "values.yaml").read_text())["services"]
    for role in ROLES:
        expected = [{"stream": each.stream, "consumer": each.name} for each in role.consumes]
        assert services.get(role.name, {}).get("consumers", []) == expected
    triggers = [
        trigger["metadata"]
        for each in of_kind(manifests(EVERYTHING), "ScaledObject")
        for trigger in each["spec"]["triggers"]
    ]
    assert {each["consumer"] for each in triggers} == {each.name for each in DURABLES}
    assert {each["account"] for each in triggers} == {ACCOUNT}


def test_what_is_scaled_has_no_fixed_number_of_replicas() -> None:
    found = workloads(manifests(EVERYTHING))
    assert {name for name, each in found.items() if "replicas" in each["spec"]} == {"failover"}


def egress(policy: Manifest) -> Iterator[int]:
    for rule in policy["spec"]["egress"]:
        yield from (port["port"] for port in rule["ports"])


def test_only_who_calls_providers_reaches_the_world() -> None:
    found = {component(each): set(egress(each)) for each in of_kind(manifests({}), "NetworkPolicy")}
    assert {name for name, ports in found.items() if 443 in ports} == {"edge", "health", "abtest"}
    assert all({53, 4222, 5432} <= ports for ports in found.values())
    assert set(found) == set(SETTINGS)


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [("http://collector:4318", 4318), ("https://collector.example.com", 443), ("http://collector/v1", 80)],
)
def test_the_collector_can_be_reached(endpoint: str, port: int) -> None:
    found = of_kind(manifests({"telemetry": {"otlpEndpoint": endpoint}}), "NetworkPolicy")
    assert all(port in set(egress(each)) for each in found)


def test_nobody_calls_setup() -> None:
    (setup,) = [each for each in of_kind(manifests({}), "NetworkPolicy") if component(each) == "setup"]
    assert "Ingress" in setup["spec"]["policyTypes"]
    assert "ingress" not in setup["spec"]


def test_setup_comes_before_everything() -> None:
    setup = workloads(manifests({}))["setup"]
    assert setup["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert given(setup)["FAIRLEAD_STREAM_REPLICAS"] == "3"
    assert "FAIRLEAD_BOOTSTRAP_KEY" not in given(setup)
    assert "FAIRLEAD_BOOTSTRAP_KEY" in given(workloads(manifests(EVERYTHING))["setup"])
    assert "serviceAccountName" not in setup["spec"]["template"]["spec"], (
        "it runs before the chart's own are there"
    )


def test_metrics_carry_the_labels_that_the_alerts_ask_for() -> None:
    (monitor,) = of_kind(manifests(EVERYTHING), "ServiceMonitor")
    assert monitor["spec"]["jobLabel"] == "app.kubernetes.io/name"
    services = of_kind(manifests(EVERYTHING), "Service")
    assert {each["metadata"]["labels"]["app.kubernetes.io/name"] for each in services} == {"fairlead"}
    (relabel,) = monitor["spec"]["endpoints"][0]["relabelings"]
    assert relabel["targetLabel"] == "service"
    for each in services:
        assert monitor["spec"]["selector"]["matchLabels"].items() <= each["metadata"]["labels"].items()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"servces": {}}, "additional properties 'servces' not allowed"),
        ({"services": {"egde": {}}}, "invalid propertyName 'egde'"),
        (
            {"services": {"edge": {"replica": 3}}},
            "at '/services/edge': additional properties 'replica' not allowed",
        ),
        ({"services": {"edge": {"replicas": 0}}}, "at '/services/edge/replicas': minimum: got 0, want 1"),
        ({"services": {"edge": {"replicas": "3"}}}, "at '/services/edge/replicas': got string, want integer"),
        ({"services": {"edge": {"settings": {"nats_url": "x"}}}}, "invalid propertyName 'nats_url'"),
        ({"services": {"edge": {"settings": {"MAX": 1}}}}, "invalid propertyName 'MAX'"),
        (
            {"defaults": {"persistence": {"size": "4GB"}}},
            "at '/defaults/persistence/size': '4GB' does not match",
        ),
        ({"image": {"digest": "latest"}}, "at '/image/digest'"),
        ({"nats": {"streamReplicas": 2}}, "at '/nats/streamReplicas': value must be one of 1, 3, 5"),
        ({"nats": {"secret": ""}}, "at '/nats/secret': minLength"),
        ({"providers": {"list": []}}, "at '/providers/list': minItems"),
        (
            {"providers": {"list": [{"name": "openai", "key": "x"}]}},
            "additional properties 'key' not allowed",
        ),
        ({"providers": {"list": [{"name": "openai", "api_key": "x"}]}}, "at '/providers/list/0/api_key'"),
        ({"telemetry": {"otlpEndpoint": "collector:4317"}}, "at '/telemetry/otlpEndpoint'"),
        ({"ingress": {"enabled": True}}, "at '/ingress/host': minLength"),
        (
            {"services": {"health": {"autoscaling": {"enabled": True}, "keda": {"enabled": True}}}},
            "services.health: autoscaling and keda are both enabled; they would fight over the number of replicas",
        ),
        (
            {"services": {"failover": {"keda": {"enabled": True}}}},
            "services.failover: keda is enabled, but the service",
        ),
    ],
)
def test_bad_values_are_refused_by_name(values: Manifest, message: str) -> None:
    with pytest.raises(helm_python.HelmError) as refused:
        templates(values)
    assert message in str(refused.value)


def test_the_schema_knows_providers_as_fairlead_does() -> None:
    row = json.loads((CHART / "values.schema.json").read_text())["definitions"]["provider"]["properties"]
    assert set(row) == FIELDS
    assert all(re.fullmatch(row["wire"]["pattern"], wire) for wire in WIRES)
    assert set(row["timeouts"]["properties"]) == set(Timeouts.__dataclass_fields__)


def test_every_value_has_a_place_in_the_schema() -> None:
    """Walks values.yaml: each key is named in the schema, so that a new one cannot be forgotten there."""
    schema = json.loads((CHART / "values.schema.json").read_text())

    def unknown(value: Any, place: Manifest, path: str) -> Iterator[str]:
        place = schema["definitions"][place["$ref"].rpartition("/")[2]] if "$ref" in place else place
        if isinstance(value, dict):
            for key, each in value.items():
                found = place.get("properties", {}).get(key, place.get("additionalProperties"))
                if found in (None, False):
                    yield f"{path}.{key}"
                elif isinstance(found, dict):
                    yield from unknown(each, found, f"{path}.{key}")

    assert list(unknown(yaml.safe_load((CHART / "values.yaml").read_text()), schema, "")) == []


@pytest.mark.parametrize("name", sorted(files()))
def test_the_plain_files_are_the_rendered_chart(name: str) -> None:
    assert (PLAIN / name).read_text() == files()[name], "run: python -m tests.deploy.render"


def test_the_plain_files_know_nothing_of_helm() -> None:
    for text in files().values():
        for each in documents(text):
            if each["kind"] != "PrometheusRule":
                kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)
        assert "helm.sh" not in text
        assert "Helm" not in text.partition("\n")[2]
