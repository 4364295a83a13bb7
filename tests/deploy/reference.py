"""Writes the reference pages that follow from the code: ``python -m tests.deploy.reference``.

Settings come from the classes that read the environment, metrics from where they are made, the control API from its routes.
"""

import ast
import importlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from fairlead_common.settings import PREFIX, Settings
from fairlead_edge.control.app import build
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

ROOT = Path(__file__).parents[2]
SETTINGS = ROOT / "docs" / "operations" / "settings.md"
METRICS = ROOT / "docs" / "operations" / "metrics.md"
OPENAPI = ROOT / "docs" / "openapi.yaml"
WRITTEN: Final = "Written from the code by `python -m tests.deploy.reference`."
KINDS: Final = {"Counter": "counter", "Gauge": "gauge", "Histogram": "histogram"}
FAMILIES: Final = {"CounterMetricFamily": "counter", "GaugeMetricFamily": "gauge"}


def main() -> None:
    """Write all pages."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


def pages() -> dict[Path, str]:
    """Each page as it should be."""
    return {SETTINGS: _settings(), METRICS: _metrics(), OPENAPI: _openapi()}


def _services() -> list[str]:
    return sorted(path.parents[2].name for path in ROOT.glob("services/*/src/*/settings.py"))


def _settings() -> str:
    lines = [
        "# Settings",
        f"Environment variables, read once at start. An unknown one is refused with the names of those there are. {WRITTEN}",
        "\n## Every process",
        *_table(Settings, set()),
    ]
    for service in _services():
        module = importlib.import_module(f"fairlead_{service}.settings")
        (own,) = (
            each
            for each in vars(module).values()
            if isinstance(each, type) and issubclass(each, Settings) and each is not Settings
        )
        lines += [f"\n## {service}", *_table(own, _unchanged(own))]
    return "\n".join(lines) + "\n"


def _unchanged(own: type[Settings]) -> set[str]:
    """Names of the common fields that a service takes as they are."""
    return {
        name
        for name, field in Settings.model_fields.items()
        if own.model_fields[name].default == field.default
    }


def _table(settings: type[Settings], but: set[str]) -> list[str]:
    rows = [
        f"| `{PREFIX}{name.upper()}` | {_default(field)} | {_bounds(field)} | {_sentence(field.description)} |"
        for name, field in settings.model_fields.items()
        if name not in but
    ]
    return ["| variable | default | allowed | |", "|---|---|---|---|", *rows]


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is None or value is PydanticUndefined:
        return "-"
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    if isinstance(value, BaseModel):
        value = value.model_dump_json()
    elif is_dataclass(value) and not isinstance(value, type):
        value = json.dumps(asdict(value))
    if isinstance(value, frozenset | tuple):
        value = ",".join(str(each) for each in sorted(value))
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _bounds(field: FieldInfo) -> str:
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    found = []
    for each in field.metadata:
        found += [f"{sign} {getattr(each, name)}" for name, sign in signs.items() if hasattr(each, name)]
        if getattr(each, "pattern", None):
            found.append("`" + each.pattern.replace("|", "\\|") + "`")
    return ", ".join(found)


def _sentence(text: str | None) -> str:
    return " ".join((text or "").replace("``", "`").split()).replace("|", "\\|")


@dataclass(frozen=True, slots=True, order=True)
class Made:
    """A metric as the source makes it."""

    service: str
    name: str
    kind: str
    labels: tuple[str, ...]
    text: str


def made() -> Iterator[Made]:
    """Every metric that the services and libraries make, from their source."""
    for path in sorted(ROOT.glob("*/*/src/**/*.py")):
        source = path.read_text(encoding="utf-8")
        if "prometheus_client" not in source:
            continue
        member = path.relative_to(ROOT).parts[1]
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                kind = (KINDS | FAMILIES).get(node.func.id)
                if kind is not None and node.args and isinstance(node.args[0], ast.Constant):
                    yield _made(member, kind, node)


def _made(member: str, kind: str, call: ast.Call) -> Made:
    given = [ast.literal_eval(each) for each in call.args if not isinstance(each, ast.Name)]
    named = {each.arg: each.value for each in call.keywords if each.arg in ("labels", "labelnames")}
    labels = given[2] if len(given) > 2 else [ast.literal_eval(each) for each in named.values()][:1]
    flat = labels[0] if labels and isinstance(labels[0], list | tuple) else labels
    name = given[0].removesuffix("_total") + ("_total" if kind == "counter" else "")
    return Made(member, name, kind, tuple(flat), given[1])


def _metrics() -> str:
    lines = [
        "# Metrics",
        f"Served by every process at `/metrics`, beside `process_*`, `python_*` and `faststream_*`. {WRITTEN}",
        "",
        "| of | metric | kind | labels | |",
        "|---|---|---|---|---|",
    ]
    for each in sorted(made()):
        labels = ", ".join(f"`{label}`" for label in each.labels)
        lines.append(f"| {each.service} | `{each.name}` | {each.kind} | {labels} | {_sentence(each.text)} |")
    return "\n".join(lines) + "\n"


def _openapi() -> str:
    schema: dict[str, Any] = build().openapi()
    text: str = yaml.safe_dump(schema, sort_keys=False, allow_unicode=True, width=120)
    return text


if __name__ == "__main__":
    main()
