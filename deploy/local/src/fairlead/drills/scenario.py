"""What a drill does and what it expects, read from a YAML file.

::

    name: hard-down
    title: A provider closes every connection without an answer
    stack: standard              # a row of stacks.yaml
    model: openai/gpt-5.4-mini   # what the callers ask for
    seconds: 12                  # how long the load lasts
    steps:
      - {at_s: 3, do: fault, of: openai, kind: down}
      - {at_s: 8, do: mend, of: openai}
    expect:
      switches: required         # required, allowed or forbidden: the fleet moves the traffic and tells so
      streams: told              # told: one that had begun may end with an error event; whole: none may
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast, get_args

import yaml
from fairlead_models.providers import BUILT_IN
from fairlead_simulator.faults import FIELDS, KINDS

from fairlead.errors import BadInput

FOLDER = Path(__file__).with_name("scenarios")
STACKS = "stacks.yaml"
Switches = Literal["required", "allowed", "forbidden"]
Streams = Literal["told", "whole"]


class Verb(Enum):
    """What a step does; its value is the word in the file."""

    FAULT = "fault"
    MEND = "mend"
    KILL = "kill"
    KILL_HOLDER = "kill_holder"
    STOP = "stop"
    START = "start"
    FREEZE = "freeze"
    THAW = "thaw"
    SLOW_POSTGRES = "slow_postgres"
    QUICK_POSTGRES = "quick_postgres"
    FILL_DISK = "fill_disk"
    FREE_DISK = "free_disk"
    EXPIRE_CERTIFICATE = "expire_certificate"
    RENEW_CERTIFICATE = "renew_certificate"
    RELEASE = "release"
    """By hand: the operator lets a provider's traffic come back."""
    WAIT = "wait"
    """Until a process serves; all that follows is put off by as long as that takes."""


HURTING = (Verb.FAULT, Verb.EXPIRE_CERTIFICATE)
"""What makes a provider fail."""
OF_PROVIDERS = (*HURTING, Verb.MEND, Verb.RENEW_CERTIFICATE, Verb.RELEASE)
OF_NOBODY = (Verb.SLOW_POSTGRES, Verb.QUICK_POSTGRES)
OPTIONS: Mapping[Verb, tuple[str, ...]] = {
    Verb.FAULT: ("kind", *(name for name in FIELDS if name != "for_s")),
    Verb.SLOW_POSTGRES: ("delay_ms",),  # added to every piece in both directions
}
UNDONE_BY = {
    Verb.FAULT: Verb.MEND,
    Verb.EXPIRE_CERTIFICATE: Verb.RENEW_CERTIFICATE,
    Verb.STOP: Verb.START,
    Verb.FREEZE: Verb.THAW,
    Verb.SLOW_POSTGRES: Verb.QUICK_POSTGRES,
    Verb.FILL_DISK: Verb.FREE_DISK,
}


@dataclass(frozen=True)
class Step:
    """One thing that is done ``at_s`` seconds after the load began. ``of``: a provider, a process, or a job's lease."""

    at_s: float
    verb: Verb
    of: str
    options: Mapping[str, Any]

    def __str__(self) -> str:
        what = self.options.get("kind", self.verb.value)
        more = [f"{name} {value}" for name, value in self.options.items() if name != "kind"]
        return " ".join([*([self.of] if self.of else []), str(what).replace("_", " "), *more])


@dataclass(frozen=True)
class StackSpec:
    """The stack a drill needs; drills that need the same one share it."""

    name: str
    words: tuple[str, ...]
    """Options of ``fairlead up``."""
    providers: tuple[Mapping[str, Any], ...]
    """Rows of its providers file; empty = the built-in ones."""
    tls: str = ""
    """The vendor that is simulated behind TLS, at ``{tls_port}`` of its row; empty = none."""


@dataclass(frozen=True)
class Scenario:
    """One drill."""

    name: str
    title: str
    stack: StackSpec
    model: str
    seconds: float
    steps: tuple[Step, ...]
    switches: Switches
    streams: Streams
    broken: bool
    """Its provider cannot be reached from the beginning, and never can."""
    blind: bool
    """While its provider fails, the edges cannot learn from each other: each is judged by what it has seen itself."""

    @property
    def returns(self) -> bool:
        """Whatever traffic is moved away comes back soon after the end."""
        return not self.broken

    @property
    def provider(self) -> str:
        """Of the model the callers ask for."""
        return self.model.partition("/")[0]


def library() -> dict[str, Scenario]:
    """Every scenario of the package, by name: in the order in which they are best run.

    Raises:
        BadInput: a file is wrong.
    """
    found = [load(path) for path in sorted(FOLDER.glob("*.yaml")) if path.name != STACKS]
    order = list(stacks())
    found.sort(key=lambda each: order.index(each.stack.name))
    return {each.name: each for each in found}


def choose(name: str) -> tuple[Scenario, ...]:
    """One scenario, all of them (``all``), or the one in a file.

    Raises:
        BadInput: nothing is called so, or a file is wrong.
    """
    if name.endswith((".yaml", ".yml")):
        return (load(Path(name)),)
    known = library()
    if name == "all":
        return tuple(known.values())
    if name not in known:
        raise BadInput(f"there is no drill '{name}'; there are {', '.join(known)}")
    return (known[name],)


def load(path: Path) -> Scenario:
    """The scenario of a file.

    Raises:
        BadInput: it cannot be read, or says something that is unknown.
    """
    found = _mapping(path)
    expect = found.get("expect", {})
    _known(path, "", found, "name title stack model seconds steps expect blind broken")
    _known(path, "expect", expect, "switches streams")
    seconds = _number(path, "seconds", found.get("seconds"))
    stack = stacks().get(found.get("stack", "standard"))
    if stack is None:
        raise BadInput(f"{path}: stack: expected one of {', '.join(stacks())}, found {found['stack']!r}")
    return Scenario(
        name=_text(path, "name", found.get("name")),
        title=_text(path, "title", found.get("title")),
        stack=stack,
        model=_text(path, "model", found.get("model", "openai/gpt-5.4-mini")),
        seconds=seconds,
        steps=_steps(path, found.get("steps", []), seconds),
        switches=cast("Switches", _one_of(path, "expect.switches", expect.get("switches"), Switches)),
        streams=cast("Streams", _one_of(path, "expect.streams", expect.get("streams"), Streams)),
        broken=found.get("broken", False) is True,
        blind=found.get("blind", False) is True,
    )


@cache
def stacks() -> dict[str, StackSpec]:
    """The stacks that scenarios can name. Raises BadInput when their file is wrong."""
    path = FOLDER / STACKS
    return {
        name: StackSpec(
            name, tuple(map(str, row.get("up", ()))), tuple(row.get("providers", ())), row.get("tls", "")
        )
        for name, row in _mapping(path).items()
    }


def _mapping(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); name a readable YAML file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise BadInput(f"{path}: expected a mapping, found {type(found).__name__}")
    return found


def _steps(path: Path, rows: Any, seconds: float) -> tuple[Step, ...]:
    if not isinstance(rows, list):
        raise BadInput(f"{path}: steps: expected a list, found {rows!r}")
    steps = tuple(_step(path, position, row) for position, row in enumerate(rows))
    if [each.at_s for each in steps] != sorted(each.at_s for each in steps):
        raise BadInput(f"{path}: steps: expected them in the order of their at_s")
    for step in steps:
        if step.at_s > seconds:
            raise BadInput(f"{path}: steps: at_s {step.at_s:g} is later than the end at {seconds:g} s")
        if (undo := UNDONE_BY.get(step.verb)) and not any(
            each.verb is undo and each.of == step.of and each.at_s > step.at_s for each in steps
        ):
            raise BadInput(
                f"{path}: steps: '{step}' is never undone; add a later step with do: {undo.value}"
                f"{f', of: {step.of}' if step.of else ''}"
            )
    return steps


def _step(path: Path, position: int, row: Any) -> Step:
    where = f"steps[{position}]"
    if not isinstance(row, dict):
        raise BadInput(f"{path}: {where}: expected a mapping with at_s, do and of, found {row!r}")
    words = {verb.value: verb for verb in Verb}
    verb = words.get(row.get("do", ""))
    if verb is None:
        raise BadInput(f"{path}: {where}.do: expected one of {', '.join(words)}, found {row.get('do')!r}")
    options = {name: value for name, value in row.items() if name not in ("at_s", "do", "of")}
    _known(path, where, options, " ".join(OPTIONS.get(verb, ())))
    of = "" if verb in OF_NOBODY else _text(path, f"{where}.of", row.get("of"))
    if verb in OF_PROVIDERS and of not in BUILT_IN:
        raise BadInput(f"{path}: {where}.of: expected one of {', '.join(BUILT_IN)}, found '{of}'")
    if verb is Verb.FAULT and options.get("kind") not in KINDS:
        raise BadInput(
            f"{path}: {where}.kind: expected one of {', '.join(KINDS)}, found {options.get('kind')!r}"
        )
    if verb is Verb.SLOW_POSTGRES:
        _number(path, f"{where}.delay_ms", options.get("delay_ms"))
    return Step(_number(path, f"{where}.at_s", row.get("at_s")), verb, of, options)


def _known(path: Path, where: str, found: Any, names: str) -> None:
    if not isinstance(found, dict):
        raise BadInput(f"{path}: {where}: expected a mapping, found {found!r}")
    if unknown := sorted(set(found) - set(names.split())):
        at = f"{where}." if where else ""
        raise BadInput(f"{path}: {at}{unknown[0]} is unknown; known are {', '.join(names.split()) or 'none'}")


def _text(path: Path, where: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise BadInput(f"{path}: {where}: expected a text, found {value!r}")
    return value


def _number(path: Path, where: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise BadInput(f"{path}: {where}: expected seconds of at least 0, found {value!r}")
    return float(value)


def _one_of(path: Path, where: str, value: Any, words: Any) -> str:
    if value not in get_args(words):
        raise BadInput(f"{path}: {where}: expected one of {', '.join(get_args(words))}, found {value!r}")
    return str(value)
