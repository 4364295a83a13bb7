"""Which providers a run has, and which of them are simulated: those that are built in and have no key."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from fairlead_models.errors import ProvidersFileError
from fairlead_models.providers import BUILT_IN, load_providers

from fairlead.errors import BadInput

KEY_VARIABLE = "SIMULATED_PROVIDER_KEY"
"""Environment variable that the generated file refers to; the supervisor sets it."""


@dataclass(frozen=True)
class Providers:
    """Rows of a providers file, and the names of those that are to be simulated."""

    rows: tuple[Mapping[str, Any], ...]
    simulated: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Every provider, in order."""
        return tuple(str(row["name"]) for row in self.rows if row.get("enabled", True) is not False)


def choose(path: Path | None, environ: Mapping[str, str], *, simulators: bool) -> Providers:
    """The providers of a file, or the five built-in ones.

    A built-in provider without a key is simulated; with ``simulators`` off it is left out (a file is taken as it is).

    Raises:
        BadInput: the file cannot be used, or no provider is left.
    """
    rows = _built_in() if path is None else _rows(path, environ)
    simulated = tuple(row["name"] for row in rows if _needs_simulator(row, environ)) if simulators else ()
    if path is None:
        rows = [row for row in rows if row["name"] in simulated or environ.get(BUILT_IN[row["name"]][2])]
    found = Providers(tuple(rows), simulated)
    if not found.names:
        variables = ", ".join(variable for _, _, variable in BUILT_IN.values())
        reason = (
            f"{path} enables no provider" if path else "no provider has a key, and --no-simulators was given"
        )
        raise BadInput(f"{reason}; set one of {variables}, or name a file of providers with --providers")
    return found


def without_keys(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment in which no built-in provider has a key."""
    variables = {variable for _, _, variable in BUILT_IN.values()}
    return {name: value for name, value in environ.items() if name not in variables}


def require_simulated(providers: Providers) -> None:
    """Refuse providers that cost money.

    Raises:
        BadInput: one of them is real.
    """
    if real := [name for name in providers.names if name not in providers.simulated]:
        raise BadInput(
            f"--demo sends requests all the time, and {', '.join(real)} would not be simulated, which may"
            " cost money; leave out --demo, or give it only providers that are simulated"
        )


def _built_in() -> list[dict[str, Any]]:
    return [{"name": name} for name in BUILT_IN]


def _rows(path: Path, environ: Mapping[str, str]) -> list[dict[str, Any]]:
    try:
        load_providers(path, environ)
    except ProvidersFileError as error:
        raise BadInput(str(error)) from error
    rows: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))["providers"]
    return rows


def _needs_simulator(row: Mapping[str, Any], environ: Mapping[str, str]) -> bool:
    known = BUILT_IN.get(row["name"])
    if known is None or row.get("enabled", True) is False or "base_url" in row or "api_key" in row:
        return False
    return not environ.get(known[2])


def file_text(providers: Providers, ports: Mapping[str, int]) -> str:
    """The file that the services are given: the simulated providers point to the ports of their simulators."""
    rows = [_row(row, ports.get(str(row["name"]))) for row in providers.rows]
    head = "# Written by `fairlead up` at each start; to change providers, use its option --providers.\n"
    return head + yaml.safe_dump({"providers": rows}, sort_keys=False)


def _row(row: Mapping[str, Any], port: int | None) -> dict[str, Any]:
    if port is None:
        return dict(row)
    path = urlsplit(BUILT_IN[row["name"]][1]).path
    return {**row, "base_url": f"http://127.0.0.1:{port}{path}", "api_key": f"${{{KEY_VARIABLE}}}"}
