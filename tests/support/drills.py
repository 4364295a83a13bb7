"""Records of drills made by hand, for tests of what is made of them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from fairlead.drills.bus import GATES, Heard
from fairlead.drills.injection import Done
from fairlead.drills.ledger import Ledger, Tried
from fairlead.drills.outages import Seen
from fairlead.drills.requests import Asked, Ending
from fairlead.drills.scenario import Scenario, StackSpec, Step, Verb

BEGAN = 1_000_000.0
SCENARIO = Scenario(
    name="one",
    title="A provider fails",
    stack=StackSpec("standard", (), ()),
    model="openai/m",
    seconds=10,
    steps=(),
    switches="required",
    streams="whole",
    blind=False,
    broken=False,
)


def tried(
    number: int, at: float, *, provider: str = "openai", error: str | None = None, reason: str = "primary"
) -> Tried:
    return Tried(f"c{number}", provider, reason, BEGAN + at, 10.0, error, 0.001)


def asked(number: int, at: float, took_s: float = 0.02, **more: Any) -> Asked:
    found = Asked(number, number % 3, stream=False, due=BEGAN + at, ending=Ending.ANSWERED)
    found.ended, found.status = found.due + took_s, 200
    found.headers = {"x-request-id": f"c{number}", "x-fairlead-provider": "google"}
    for name, value in more.items():
        setattr(found, name, value)
    return found


def step(at: float, verb: Verb, of: str) -> Done:
    return Done(BEGAN + at, Step(at, verb, of, {}))


def said(at: float, subject: str, **body: Any) -> Heard:
    when = datetime.fromtimestamp(BEGAN + at, UTC).isoformat()
    return Heard(BEGAN + at, subject, {"event_id": f"{subject}{at}", "occurred_at": when, **body})


def gates(at: float, state: str) -> Heard:
    return Heard(BEGAN + at, GATES, {"gates": {"openai": {"state": state}} if state else {}})


def seen(
    requests: Sequence[Asked],
    attempts: Sequence[Tried] = (),
    *,
    done: Sequence[Done] = (),
    heard: Sequence[Heard] = (),
    scenario: Scenario = SCENARIO,
    times: dict[str, int] | None = None,
) -> Seen:
    recorded = times if times is not None else {each.call_id or "": 1 for each in requests}
    return Seen(scenario, BEGAN, 3, requests, done, heard, Ledger(recorded, tuple(attempts), 0.1))


OUTAGE = (step(1, Verb.FAULT, "openai"), step(5, Verb.MEND, "openai"))
MOVED = (
    said(1.3, "failover.switched.1", from_target="openai"),
    gates(1.31, "open"),
    gates(6, "recovering"),
    gates(8, ""),
    said(1.5, "failover.switched.1", from_target="openai/m"),
    said(7.9, "failover.recovered.1", to_target="openai/m", switched_event_id="x"),
    said(8, "failover.recovered.1", to_target="openai", switched_event_id="y"),
)


def outage(*, more: Sequence[Heard] = (), requests: Sequence[Asked] | None = None) -> Seen:
    """Six failures from 1.1 s on, each rescued by another provider; the third edge sends one more after the trigger."""
    starts = [1.1, 1.11, 1.12, 1.13, 1.14, 1.25]
    attempts = [tried(n, at, error="connect") for n, at in enumerate(starts)]
    attempts += [tried(n, at + 0.012, provider="google", reason="failover") for n, at in enumerate(starts)]
    late = tried(9, 3.0, error="connect", reason="half_open")
    if requests is None:
        requests = [asked(n, at, 0.025) for n, at in enumerate(starts)]
    return seen(requests, [*attempts, late], done=OUTAGE, heard=[*MOVED, *more])
