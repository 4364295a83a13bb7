"""Reading docker-compose.yml as Compose does: merged anchors, interpolated variables, environment passed on."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)(?:(:[-?])([^}]*))?\}")


class Missing(Exception):
    """A required variable is not set; the message is the one of the file."""


class _Loader(yaml.SafeLoader):
    """SafeLoader already merges ``<<``; this one also refuses a key that is there twice."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    own = [loader.construct_object(key) for key, _ in node.value if key.value != "<<"]
    if len(own) != len(set(own)):
        raise ValueError(f"a key is there twice, line {node.start_mark.line + 1}: {own}")
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def dotenv(path: Path) -> dict[str, str]:
    """Variables of a ``.env`` file."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def load() -> dict[str, Any]:
    """The file, not interpolated."""
    found: dict[str, Any] = yaml.load(COMPOSE.read_text(), _Loader)
    return found


def interpolated(value: Any, variables: Mapping[str, str]) -> Any:
    """``value`` with its variables replaced.

    Raises:
        Missing: one that is required is not there.
    """
    if isinstance(value, dict):
        return {key: interpolated(each, variables) for key, each in value.items()}
    if isinstance(value, list):
        return [interpolated(each, variables) for each in value]
    if not isinstance(value, str):
        return value

    def replaced(match: re.Match[str]) -> str:
        name, how, rest = match.groups()
        if variables.get(name):
            return variables[name]
        if how == ":?":
            raise Missing(f"{name}: {rest}")
        return rest or ""

    return VARIABLE.sub(replaced, value)


def environment(service: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, str]:
    """What the container is given: a name without a value is passed on when it is set, and left out when not."""
    found = {}
    for name, value in (service.get("environment") or {}).items():
        if value is not None:
            found[name] = str(value)
        elif name in variables:
            found[name] = variables[name]
    return found
