"""The life of an alert: tables, and properties that hold for every history."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from fairlead_common.events.alerts import ActionTaken, AlertRaised, AlertStatus, Severity
from fairlead_common.operations.alert_rules import Rule
from fairlead_health.domain.alerts import (
    QUIET,
    AlertRecord,
    Breach,
    fingerprint,
    judge,
    recalled,
)
from fairlead_health.rules import built_in
from hypothesis import given
from hypothesis import strategies as st

START = 1_000_000.0
SLOW = Rule(name="slow", severity=Severity.WARNING, for_s=3, keep_firing_for_s=2)
MOVED = ActionTaken(action="failover", to_target="google")
DOWN = Rule(name="down", severity=Severity.CRITICAL)


def life(
    breaches: str,
    rule: Rule = SLOW,
    *,
    record: AlertRecord = QUIET,
    silenced: range = range(0),
    inhibited: range = range(0),
    acknowledged: range = range(0),
    acted: range = range(0),
) -> list[tuple[int, str]]:
    """(second, transition) of an alert whose rule is breached (!), clear (.) or unknown (?), second by second."""
    told = []
    for at, sign in enumerate(breaches):
        record, transition = judge(
            record,
            rule,
            Breach({"!": True, ".": False, "?": None}[sign]),
            START + at,
            f"id-{at}",
            silenced=at in silenced,
            inhibited=at in inhibited,
            acknowledged_by="ann" if at in acknowledged else None,
            acted=at in acted,
        )
        if transition is not None:
            told.append((at, transition.value))
    return told


@pytest.mark.parametrize(
    ("breaches", "expected"),
    [
        ("......", []),
        ("!!!...", []),
        ("!!!!..", [(3, "firing")]),
        ("!!.!!!!", [(6, "firing")]),
        ("!!!!...", [(3, "firing"), (6, "resolved")]),
        ("!!!!.!.!.!!", [(3, "firing")]),
        ("!!??!!", [(4, "firing")]),
        ("!!!!?????", [(3, "firing")]),
        ("!!!!.??.", [(3, "firing"), (7, "resolved")]),
        ("!!!!...!!!!...", [(3, "firing"), (6, "resolved"), (10, "firing"), (13, "resolved")]),
    ],
)
def test_it_fires_after_a_while_and_resolves_after_a_while(
    breaches: str, expected: list[tuple[int, str]]
) -> None:
    assert life(breaches) == expected


def test_down_needs_no_while() -> None:
    assert life("!!.", DOWN) == [(0, "firing"), (2, "resolved")]


@pytest.mark.parametrize(
    ("breaches", "silenced", "expected"),
    [
        ("!!!!!!!", range(10), [(3, "suppressed")]),
        ("!!!!!!!", range(5), [(3, "suppressed"), (5, "firing")]),
        ("!!!!!!!", range(5, 6), [(3, "firing"), (5, "suppressed"), (6, "firing")]),
        ("!!!!...", range(10), [(3, "suppressed"), (6, "resolved")]),
        ("!!!!??", range(5), [(3, "suppressed"), (5, "firing")]),
        ("!!!!!...", range(5), [(3, "suppressed"), (7, "resolved")]),
        ("!!!!!.!", range(5), [(3, "suppressed"), (6, "firing")]),
    ],
)
def test_a_silence_delays_and_does_not_swallow(
    breaches: str, silenced: range, expected: list[tuple[int, str]]
) -> None:
    assert life(breaches, silenced=silenced) == expected


@pytest.mark.parametrize(
    ("breaches", "inhibited", "expected"),
    [
        ("!!!!!!!", range(10), []),
        ("!!!!!!!", range(5), [(5, "firing")]),
        ("!!!!!....", range(5), []),
        ("!!!!!!!!", range(5, 7), [(3, "firing"), (5, "suppressed"), (7, "firing")]),
        ("!!!!!!...", range(5, 10), [(3, "firing"), (5, "suppressed"), (8, "resolved")]),
    ],
)
def test_a_worse_alert_keeps_it_from_beginning(
    breaches: str, inhibited: range, expected: list[tuple[int, str]]
) -> None:
    assert life(breaches, inhibited=inhibited) == expected


@pytest.mark.parametrize(
    ("breaches", "acknowledged", "expected"),
    [
        ("!!!!!!...", range(4, 5), [(3, "firing"), (4, "acknowledged"), (8, "resolved")]),
        ("!!!!!!...!!!!", range(4, 5), [(3, "firing"), (4, "acknowledged"), (8, "resolved"), (12, "firing")]),
        ("!!!!!", range(4), [(3, "firing")]),
    ],
)
def test_an_acknowledgement_holds_for_its_episode(
    breaches: str, acknowledged: range, expected: list[tuple[int, str]]
) -> None:
    assert life(breaches, acknowledged=acknowledged) == expected


def test_a_silence_does_not_take_back_an_acknowledgement() -> None:
    assert life("!!!!!!!!", acknowledged=range(4, 5), silenced=range(5, 7)) == [
        (3, "firing"),
        (4, "acknowledged"),
    ]


@pytest.mark.parametrize(
    ("breaches", "acted", "more", "expected"),
    [
        ("!!!!!!", range(5, 6), {}, [(3, "firing"), (5, "firing")]),
        ("!!!!!!!!", range(5, 8), {}, [(3, "firing"), (5, "firing")]),
        ("!!!!!!", range(6), {}, [(3, "firing")]),
        ("!!..", range(4), {}, []),
        (
            "!!!!!!!",
            range(5, 7),
            {"acknowledged": range(4, 5)},
            [(3, "firing"), (4, "acknowledged"), (5, "acknowledged")],
        ),
        (
            "!!!!!!!!",
            range(5, 8),
            {"silenced": range(4, 7)},
            [(3, "firing"), (4, "suppressed"), (7, "firing")],
        ),
        (
            "!!!!!...!!!!!!",
            range(13, 14),
            {},
            [(3, "firing"), (7, "resolved"), (11, "firing"), (13, "firing")],
        ),
    ],
)
def test_what_was_done_about_it_is_told_once_as_soon_as_it_is_known(
    breaches: str, acted: range, more: dict[str, range], expected: list[tuple[int, str]]
) -> None:
    assert life(breaches, acted=acted, **more) == expected  # type: ignore[arg-type]


def alert(status: AlertStatus, sequence: int, **labels: str) -> AlertRaised:
    at = datetime.fromtimestamp(START, UTC)
    return AlertRaised(
        event_id="e",
        occurred_at=at,
        alert_id="episode",
        fingerprint="f",
        sequence=sequence,
        status=status,
        severity=Severity.WARNING,
        alertname="slow",
        provider="openai",
        labels=labels,
        annotations={},
        starts_at=at,
        ends_at=at if status is AlertStatus.RESOLVED else None,
        last_evaluated_at=at,
    )


def test_what_was_told_is_recalled_and_neither_repeated_nor_forgotten() -> None:
    firing = recalled(alert(AlertStatus.FIRING, 5))
    assert life("!!!!", record=firing) == []
    assert life("...", record=firing) == [(2, "resolved")]
    assert judge(replace(firing, clear_since=START - 2), SLOW, Breach(False), START, "new")[0].sequence == 6
    assert life("!!!!", record=recalled(alert(AlertStatus.RESOLVED, 6))) == [(3, "firing")]
    suppressed = recalled(alert(AlertStatus.SUPPRESSED, 1))
    assert life("!", record=suppressed) == [(0, "firing")]
    acted = (
        firing.acted,
        recalled(alert(AlertStatus.FIRING, 5).model_copy(update={"action_taken": MOVED})).acted,
    )
    assert acted == (False, True)
    acknowledged = recalled(alert(AlertStatus.ACKNOWLEDGED, 2, acknowledged_by="ann"))
    assert life("!!", record=acknowledged) == []


def test_a_fingerprint_is_stable_and_of_one_alert_of_one_provider() -> None:
    assert fingerprint("down", "openai") == fingerprint("down", "openai") == "ed520c4e481c4f23"
    assert len({fingerprint(rule.name, name) for rule in built_in() for name in ("a", "b")}) == 2 * len(
        built_in()
    )


STEPS = st.lists(
    st.tuples(
        st.sampled_from([True, False, None]), st.floats(0, 20), st.booleans(), st.sampled_from([None, "ann"])
    ),
    max_size=60,
)


@given(STEPS, st.sampled_from(built_in()))
def test_for_every_history(steps: list[tuple[bool | None, float, bool, str | None]], rule: Rule) -> None:
    """Sequences count transitions; an episode begins once, ends at most once, and keeps its id in between."""
    record, now, episodes = QUIET, START, list[list[AlertStatus]]()
    for position, (breached, wait_s, silenced, by) in enumerate(steps):
        now += wait_s
        before = record
        record, transition = judge(
            record, rule, Breach(breached), now, str(position), silenced=silenced, acknowledged_by=by
        )
        assert record.sequence - before.sequence == (transition is not None)
        if transition is None:
            assert record.alert_id == before.alert_id
            continue
        if before.alert_id is None:
            assert breached
            episodes.append([])
        episodes[-1].append(transition)
        if transition is AlertStatus.RESOLVED:
            assert (record.alert_id, record.told) == (None, None)
        else:
            assert record.told is transition
            assert record.alert_id == (before.alert_id or str(position))
    for told in episodes[:-1]:
        assert told[-1] is AlertStatus.RESOLVED
    for told in episodes:
        assert AlertStatus.RESOLVED not in told[:-1]
        assert all(one is not other for one, other in pairwise(told))
