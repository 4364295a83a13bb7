"""``fairlead fault``: switches faults of simulated providers on and off, while everything runs."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from fairlead_simulator.faults import KINDS, FaultError, canonical

from fairlead import run_file
from fairlead.data_dir import DataDir
from fairlead.errors import BadInput
from fairlead.local_http import request
from fairlead.run_file import RunFile

CLEAR, LIST = "clear", "list"


def fault(folder: DataDir, words: Sequence[str], for_s: float | None, options: Mapping[str, str]) -> int:
    """Carry out ``PROVIDER KIND``, ``clear [PROVIDER]`` or ``list``; 0.

    Args:
        for_s: seconds until the fault ends by itself; None = when it is cleared.
        options: of the fault, as the simulator knows them, for example ``after_chunks``.

    Raises:
        BadInput: nothing runs there, or a provider, kind or option is unknown.
    """
    run = run_file.read(folder)
    match list(words):
        case ["list"]:
            print("\n".join(asyncio.run(_list(run))))
        case ["clear"]:
            asyncio.run(_clear(run, list(run.simulators)))
            print(f"No faults are on any more ({', '.join(run.simulators)}).")
        case ["clear", provider]:
            asyncio.run(_clear(run, [_known(run, provider)]))
            print(f"{provider}: no faults are on any more.")
        case [provider, kind]:
            body = {**{name: _value(value) for name, value in options.items()}}
            if for_s is not None:
                body["for_s"] = for_s
            asyncio.run(_switch_on(run, _known(run, provider), kind, body))
            until = f"for {for_s:g} s" if for_s is not None else f"until `fairlead fault clear {provider}`"
            print(f"{provider}: {KINDS[canonical(kind)]}, {until}.")
        case _:
            raise BadInput(
                "expected `fault PROVIDER KIND`, `fault clear [PROVIDER]` or `fault list`; see `fairlead fault --help`"
            )
    return 0


def _known(run: RunFile, provider: str) -> str:
    if provider in run.simulators:
        return provider
    there = f"simulated here are {', '.join(run.simulators)}" if run.simulators else "none is simulated here"
    what = "a real provider in this run" if provider in run.providers else "no provider of this run"
    raise BadInput(f"'{provider}' is {what}, and only simulated ones can be given faults; {there}")


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.split(",")


async def _call(run: RunFile, provider: str, method: str, path: str, body: Any = None) -> dict[str, Any]:
    url = run.simulators[provider].control_url + path
    try:
        answer = await request(method, url, body)
    except (OSError, TimeoutError) as error:
        raise BadInput(
            f"the simulator of {provider} does not answer ({error}); look at `fairlead status`"
        ) from error
    found: dict[str, Any] = answer.json()
    if answer.status != 200:
        raise BadInput(f"{provider}: {found.get('error', found)}")
    return found


async def _switch_on(run: RunFile, provider: str, kind: str, body: Mapping[str, Any]) -> None:
    try:
        name = canonical(kind)
    except FaultError as error:
        raise BadInput(str(error)) from error
    await _call(run, provider, "PUT", f"/_sim/faults/{name}", body)


async def _clear(run: RunFile, providers: Sequence[str]) -> None:
    for provider in providers:
        await _call(run, provider, "DELETE", "/_sim/faults")


async def active_faults(run: RunFile) -> dict[str, list[str]]:
    """Provider to its faults in words; a simulator that does not answer has none to show."""
    found: dict[str, list[str]] = {}
    for provider in run.simulators:
        try:
            state = await _call(run, provider, "GET", "/_sim/state")
        except BadInput:
            continue
        found[provider] = [_in_words(kind, each["seconds_left"]) for kind, each in state["faults"].items()]
    return found


def _in_words(kind: str, seconds_left: float | None) -> str:
    return kind if seconds_left is None else f"{kind} ({seconds_left:.0f} s left)"


async def _list(run: RunFile) -> list[str]:
    found = await active_faults(run)
    width = max((len(name) for name in run.simulators), default=0)
    lines = [f"{name:<{width}}  {', '.join(found.get(name, ())) or '-'}" for name in run.simulators]
    return lines or ["No provider is simulated in this run."]
