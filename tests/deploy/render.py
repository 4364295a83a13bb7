"""Renders the chart with its own values into plain YAML, for clusters without Helm: ``python -m tests.deploy.render``.

Needs only what the tests need (helm-python-sdk); a test compares the committed files with this.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import helm_python
import yaml

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
PLAIN: Final = DEPLOY / "k8s"
CHART: Final = DEPLOY / "helm" / "fairlead"
RULES: Final = DEPLOY / "prometheus" / "rules.yml"
NAME: Final = "fairlead"
SETUP: Final = "setup.yaml"
HELMS_OWN: Final = re.compile(
    r"^ *(app\.kubernetes\.io/managed-by|helm\.sh/\S+): .*\n|^ *annotations:\n(?= *helm\.sh/)", re.MULTILINE
)
HEADER: Final = "# Rendered from deploy/helm/fairlead by `python -m tests.deploy.render`; do not edit.\n"


def templates(values: Mapping[str, Any], name: str = NAME) -> dict[str, str]:
    """Text of each template, by its file name, those that render to nothing left out.

    Raises:
        helm_python.HelmError: the values are refused.
    """
    with helm_python.Chart.load(str(CHART)) as chart:
        found = chart.render(dict(values), name=name, namespace=NAME)
    return {path.rpartition("/")[2]: text for path, text in found.items() if text.strip()}


def documents(text: str) -> list[dict[str, Any]]:
    """The manifests in ``text``."""
    return [found for found in yaml.safe_load_all(text) if found]


def files() -> dict[str, str]:
    """Name and text of each file of ``deploy/k8s``: what setup does once, and what runs."""
    found = templates({})
    found.pop("NOTES.txt")
    setup = found.pop(SETUP)
    runs = "\n---\n".join(text.strip().removeprefix("---").strip() for _, text in sorted(found.items()))
    return {
        SETUP: HEADER + _plain(setup.strip()) + "\n",
        "fairlead.yaml": HEADER + _plain(runs) + "\n",
        "prometheus-rule.yaml": HEADER + yaml.safe_dump(prometheus_rule(), sort_keys=False, width=120),
    }


def _plain(text: str) -> str:
    return HELMS_OWN.sub("", text)


def prometheus_rule() -> dict[str, Any]:
    """``deploy/prometheus/rules.yml`` as the Prometheus operator's resource."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": NAME, "labels": {"app.kubernetes.io/name": NAME}},
        "spec": yaml.safe_load(RULES.read_text()),
    }


if __name__ == "__main__":
    for file, content in files().items():
        (PLAIN / file).write_text(content)
        sys.stdout.write(f"{file}\n")
