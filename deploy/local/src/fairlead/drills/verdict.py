"""The promises, and whether a drill kept them. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from fairlead.drills.measures import Measures, quantile
from fairlead.drills.scenario import Scenario

RESCUE_P99_MS = 50.0
PROPAGATION_P99_MS = 250.0
_SWITCH = {
    False: "fleet-wide switch after the trigger, p99",
    True: "switch of each edge after its own trigger, p99",
}


class Verdict(StrEnum):
    """Of one promise, or of a whole drill."""

    PASS = "pass"
    FAIL = "FAIL"
    NOT_MEASURED = "not measured"
    """Nothing happened that it could be measured on."""


@dataclass(frozen=True)
class Judged:
    """One promise: what was promised, what was found, both in words."""

    name: str
    promised: str
    found: str
    verdict: Verdict


def judge(scenario: Scenario, found: Measures) -> tuple[Judged, ...]:
    """Every promise that bears on the scenario."""
    return (
        _none("errors seen by callers", found.errors),
        *([_none("streams cut and told", found.told)] if scenario.streams == "whole" else []),
        _none("lost outcomes", len(found.lost)),
        _none("doubled outcomes", found.doubled),
        _below("extra time of rescued requests, p99", found.rescued_extra_ms, RESCUE_P99_MS),
        *_switching(scenario, found),
    )


def overall(judged: Iterable[Judged]) -> Verdict:
    """Pass when nothing failed."""
    return Verdict.FAIL if any(each.verdict is Verdict.FAIL for each in judged) else Verdict.PASS


def _switching(scenario: Scenario, found: Measures) -> Iterable[Judged]:
    switches = sum(found.switches.values())
    hurt = {each.provider for each in found.outages}
    if scenario.switches == "forbidden":
        yield _none("switches", switches)
        return
    propagation = [ms for each in found.outages for ms in each.propagation_ms]
    yield _below(_SWITCH[scenario.blind], propagation, PROPAGATION_P99_MS)
    allowed = len(found.outages)
    others = sum(number for provider, number in found.switches.items() if provider not in hurt)
    yield _judged("switches", f"at most {allowed}", str(switches), switches <= allowed and not others)
    if scenario.switches == "required":
        yield _judged("the fleet switched", "yes", "yes" if switches else "no", switches > 0)
    if switches and scenario.returns:
        back = sum(found.recoveries.values())
        yield _judged("traffic came back", f"{switches} times", f"{back} times", back == switches)


def _none(name: str, found: int) -> Judged:
    return _judged(name, "0", str(found), found == 0)


def _judged(name: str, promised: str, found: str, kept: bool) -> Judged:
    return Judged(name, promised, found, Verdict.PASS if kept else Verdict.FAIL)


def _below(name: str, values: Iterable[float], limit: float) -> Judged:
    p99 = quantile(values, 0.99)
    if p99 is None:
        return Judged(name, f"under {limit:g} ms", "none", Verdict.NOT_MEASURED)
    return _judged(name, f"under {limit:g} ms", f"{p99:.1f} ms", p99 < limit)
