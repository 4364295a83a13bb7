"""Grouping in time: what is told when, case by case and whatever happens."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from fairlead_common.events.alerts import AlertRaised, AlertStatus, Severity
from fairlead_common.operations.notifiers import AnyNotifier
from fairlead_health.domain.alerts import fingerprint
from fairlead_health.domain.grouping import (
    Group,
    Member,
    Tell,
    arrived,
    dedup_key,
    group_key,
    labels_of_group,
    look,
)
from fairlead_health.domain.notifiers import NOTIFIER
from hypothesis import given
from hypothesis import strategies as st

WAIT_S, INTERVAL_S, REPEAT_S = 5.0, 60.0, 600.0
TIMES = {"group_wait_s": WAIT_S, "group_interval_s": INTERVAL_S, "repeat_interval_s": REPEAT_S}
HOOK = {"name": "hook", "kind": "webhook", "url": "https://ops.example", **TIMES}
PAGER = {"name": "pager", "kind": "pagerduty", "routing_key": "${NOTIFIER_KEY}", **TIMES}
F, R, A, S = AlertStatus.FIRING, AlertStatus.RESOLVED, AlertStatus.ACKNOWLEDGED, AlertStatus.SUPPRESSED


def notifier(raw: dict[str, Any] = HOOK, **given: Any) -> AnyNotifier:
    return NOTIFIER.validate_python({**raw, **given})


def alert(provider: str, status: AlertStatus, sequence: int = 1, episode: int = 1) -> AlertRaised:
    at = datetime.fromtimestamp(1000 * episode, UTC)
    return AlertRaised(
        event_id="e",
        occurred_at=at,
        alert_id=f"{provider}-{episode}",
        fingerprint=fingerprint("down", provider),
        sequence=sequence,
        status=status,
        severity=Severity.CRITICAL,
        alertname="down",
        provider=provider,
        labels={"alertname": "down", "provider": provider, "severity": "critical", "service": "health"},
        annotations={},
        starts_at=at,
        last_evaluated_at=at,
    )


class Spoken(NamedTuple):
    """What was told, and when."""

    at: float
    standing: AlertStatus
    alerts: tuple[tuple[str, AlertStatus], ...]


def run(
    to: AnyNotifier, happenings: Iterable[tuple[float, AlertRaised]], until: float
) -> tuple[list[tuple[float, Tell]], Group]:
    """A group as the couriers keep it: looked at when something arrives, and when it is due."""
    group = Group()
    past: list[Member] = []
    tells: list[tuple[float, Tell]] = []
    next_at: float | None = None

    def looked(now: float) -> None:
        nonlocal group, next_at
        before = {each.alert.alert_id: each for each in group.members}
        found = look(group, to, now)
        kept = {each.alert.alert_id for each in found.group.members}
        past.extend(each for name, each in before.items() if name not in kept)
        group = found.group if found.group.members else Group()
        next_at = found.next_at
        if found.tell is not None:
            tells.append((now, found.tell))

    for at, each in [*happenings, (until, None)]:
        while next_at is not None and next_at <= at:
            looked(next_at)
        if each is None:
            break
        known = [m for m in (*past, *group.members) if m.alert.fingerprint == each.fingerprint]
        changed = {m.alert.alert_id: m for m in arrived(known, each, wanted=True)}
        others = [m for m in group.members if m.alert.alert_id not in changed]
        mine = [m for m in changed.values() if m.alert.alert_id not in {p.alert.alert_id for p in past}]
        group = Group((*others, *mine), group.told_at)
        looked(at)
    return tells, group


def spoken(to: AnyNotifier, *happenings: tuple[float, AlertRaised], until: float = 500) -> list[Spoken]:
    return [
        Spoken(at, tell.standing, tuple((each.provider, each.status) for each in tell.alerts))
        for at, tell in run(to, happenings, until)[0]
    ]


def test_thirty_alerts_of_one_outage_are_one_page() -> None:
    outage = [(at / 10, alert(f"p{at:02}", F)) for at in range(30)]
    (page,) = spoken(notifier(PAGER), *outage)
    assert (page.at, page.standing, len(page.alerts)) == (WAIT_S, F, 30)


def test_changes_wait_for_the_interval_and_the_end_is_told_last() -> None:
    assert spoken(
        notifier(),
        (0, alert("a", F)),
        (10, alert("b", F)),
        (20, alert("a", R, 2)),
        (100, alert("b", R, 2)),
    ) == [
        (5, F, (("a", F),)),
        (65, F, (("a", R), ("b", F))),
        (125, R, (("b", R),)),
    ]


def test_what_joins_a_quiet_group_gathers_for_the_wait_again() -> None:
    assert [
        each.at for each in spoken(notifier(), (0, alert("a", F)), (200, alert("b", F)), (202, alert("c", F)))
    ] == [
        5,
        205,
    ]


def test_what_fires_and_resolves_within_the_wait_is_not_told() -> None:
    assert spoken(notifier(), (0, alert("a", F)), (4, alert("a", R, 2))) == []
    assert spoken(notifier(), (0, alert("a", F)), (1, alert("b", F)), (4, alert("a", R, 2))) == [
        (6, F, (("b", F),))
    ]


@pytest.mark.parametrize(
    ("repeat", "times"), [(REPEAT_S, [5.0, 605.0, 1205.0]), (None, [5.0])], ids=["again", "never again"]
)
def test_what_fires_on_is_told_again(repeat: float | None, times: list[float]) -> None:
    found = spoken(notifier(repeat_interval_s=repeat), (0, alert("a", F)), until=1500)
    assert [each.at for each in found] == times


def test_what_is_only_for_reading_is_not_told_again() -> None:
    note = alert("a", F).model_copy(update={"severity": Severity.INFO})
    assert [each.at for each in spoken(notifier(), (0, note), until=5000)] == [5.0]
    with_one_that_calls = spoken(notifier(), (0, note), (0, alert("b", F)), until=1000)
    assert [each.at for each in with_one_that_calls] == [5.0, 605.0]


def test_what_somebody_looks_after_or_has_silenced_is_not_told_again() -> None:
    for status in (A, S):
        assert len(spoken(notifier(), (0, alert("a", F)), (10, alert("a", status, 2)), until=5000)) == 1


def test_a_silence_within_the_wait_delays_and_does_not_swallow() -> None:
    happenings = [(0.0, alert("a", F)), (1.0, alert("a", S, 2)), (100.0, alert("a", F, 3))]
    assert spoken(notifier(), *happenings) == [(105, F, (("a", F),))]


def test_what_is_silenced_later_stays_out_and_its_end_is_told() -> None:
    assert spoken(
        notifier(),
        (0, alert("a", F)),
        (0, alert("b", F)),
        (10, alert("a", S, 2)),
        (20, alert("b", R, 2)),
        (100, alert("a", R, 3)),
    ) == [
        (5, F, (("a", F), ("b", F))),
        (65, F, (("b", R),)),
        (125, R, (("a", R),)),
    ]


def test_what_was_silenced_before_it_was_told_keeps_no_group_open() -> None:
    assert spoken(
        notifier(),
        (0, alert("a", F)),
        (10, alert("b", F)),
        (11, alert("b", S, 2)),
        (20, alert("a", R, 2)),
    ) == [
        (5, F, (("a", F),)),
        (65, R, (("a", R),)),
    ]


def test_a_pager_knows_at_once_that_somebody_looks_after_all_of_it_and_nobody_else_is_told() -> None:
    happenings = [
        (0.0, alert("a", F)),
        (0.0, alert("b", F)),
        (10.0, alert("a", A, 2)),
        (20.0, alert("b", A, 2)),
        (30.0, alert("a", R, 3)),
        (30.0, alert("b", R, 3)),
    ]
    assert [(each.at, each.standing) for each in spoken(notifier(PAGER), *happenings)] == [
        (5, F),
        (20, A),
        (80, R),
    ]
    assert [(each.at, each.standing) for each in spoken(notifier(), *happenings)] == [(5, F), (65, R)]


def test_a_pager_is_told_of_what_was_acknowledged_within_the_wait_and_then_that_it_was() -> None:
    found = spoken(notifier(PAGER), (0, alert("a", F)), (1, alert("a", A, 2)))
    assert [(each.at, each.standing) for each in found] == [(5, F), (5, A)]


def test_who_does_not_want_ends_is_told_of_none() -> None:
    found = spoken(
        notifier(send_resolved=False), (0, alert("a", F)), (0, alert("b", F)), (10, alert("a", R, 2))
    )
    assert found == [(5, F, (("a", F), ("b", F)))]


def test_an_episode_whose_end_was_lost_ends_with_the_next() -> None:
    assert spoken(notifier(), (0, alert("a", F)), (100, alert("a", F, 3, episode=2))) == [
        (5, F, (("a", F),)),
        (105, F, (("a", R), ("a", F))),
    ]


def test_a_notifier_that_is_gone_is_told_nothing_and_keeps_what_is_open() -> None:
    members = [*arrived([], alert("a", F), wanted=True), *arrived([], alert("b", F), wanted=True)]
    (ended,) = arrived(members[:1], alert("a", R, 2), wanted=True)
    found = look(Group((ended, members[1])), None, 1e9)
    assert (found.tell, found.next_at, found.group.members) == (None, None, (members[1],))


def test_who_does_not_want_an_alert_is_still_told_of_the_end_of_what_he_was_told_of() -> None:
    members = arrived([], alert("a", F), wanted=True)
    assert arrived([], alert("b", F), wanted=False) == []
    assert [each.alert.status for each in arrived(members, alert("a", R, 2), wanted=False)] == [R]


@pytest.mark.parametrize(
    ("by", "key"),
    [
        (["alertname"], '{}:{alertname="down"}'),
        (["severity", "provider"], '{}:{provider="openai", severity="critical"}'),
        (["region", "alertname"], '{}:{alertname="down"}'),
        (["..."], '{}:{alertname="down", provider="openai"}'),
        ([], "{}:{}"),
    ],
)
def test_the_name_of_a_group(by: list[str], key: str) -> None:
    found = labels_of_group(notifier(group_by=by), alert("openai", F))
    assert group_key(found) == key
    assert dedup_key(key, alert("openai", F)).endswith(":openai-1")


LIFE = {None: (F, S), F: (S, A, R), S: (F, A, R), A: (R,), R: (F, S)}


@st.composite
def lives(draw: st.DrawFn) -> list[tuple[float, AlertRaised]]:
    """Transitions of a few alerts as health tells them: sequences grow, an ended episode is followed by another."""
    now, found = 0.0, []
    where: dict[str, tuple[AlertStatus | None, int, int]] = dict.fromkeys("abc", (None, 0, 0))
    for _ in range(draw(st.integers(0, 25))):
        now += draw(st.sampled_from([0.0, 0.5, 4.0, 5.0, 30.0, 60.0, 61.0, 700.0]))
        name = draw(st.sampled_from("abc"))
        status, sequence, episode = where[name]
        after = draw(st.sampled_from(LIFE[status]))
        episode += status in (None, R)
        where[name] = (after, sequence + 1, episode)
        found.append((now, alert(name, after, sequence + 1, episode)))
    return found


KINDS = st.sampled_from([HOOK, PAGER])
LONG_AFTER = 1e5
SOON_AFTER = WAIT_S + 2 * INTERVAL_S


def ending(life: list[tuple[float, AlertRaised]]) -> float:
    return life[-1][0] if life else 0.0


@given(lives(), KINDS)
def test_nothing_is_lost(life: list[tuple[float, AlertRaised]], raw: dict[str, Any]) -> None:
    """Once it is quiet, everybody knows of each alert how it stands, if he was ever to know of it."""
    until = ending(life) + SOON_AFTER
    tells, group = run(notifier(raw, repeat_interval_s=None), life, until)
    known = {each.alert_id: each for _, tell in tells for each in tell.alerts}
    last = {each.alert_id: each for _, each in life}
    for alert_id, each in last.items():
        match each.status:
            case AlertStatus.FIRING | AlertStatus.ACKNOWLEDGED:
                fired = any(other.status is F for _, other in life if other.alert_id == alert_id)
                assert not fired or known[alert_id].status in (F, A)
            case AlertStatus.RESOLVED if alert_id in known:
                assert known[alert_id].status is R
    assert all(each.waiting_since is None for each in group.members)


@given(lives(), KINDS)
def test_an_end_is_told_once_and_only_to_who_was_told_of_the_beginning(
    life: list[tuple[float, AlertRaised]], raw: dict[str, Any]
) -> None:
    tells, _ = run(notifier(raw), life, ending(life) + SOON_AFTER)
    open_there: set[str] = set()
    ended = Counter[str]()
    for _, tell in tells:
        for each in tell.alerts:
            if each.status is R:
                assert each.alert_id in open_there
                ended[each.alert_id] += 1
        open_there |= {each.alert_id for each in tell.alerts if each.status is not R}
    assert all(count == 1 for count in ended.values())


@given(lives(), KINDS)
def test_nothing_is_told_twice_without_a_change_or_a_repeat(
    life: list[tuple[float, AlertRaised]], raw: dict[str, Any]
) -> None:
    tells, _ = run(notifier(raw), life, LONG_AFTER)
    for (earlier, before), (later, after) in pairwise(tells):
        if (before.standing, before.alerts) == (after.standing, after.alerts):
            assert later - earlier >= REPEAT_S


@given(lives(), KINDS)
def test_transitions_of_an_alert_are_told_in_their_order(
    life: list[tuple[float, AlertRaised]], raw: dict[str, Any]
) -> None:
    tells, _ = run(notifier(raw), life, ending(life) + SOON_AFTER)
    told: dict[str, int] = {}
    for _, tell in tells:
        for each in tell.alerts:
            assert each.sequence >= told.get(each.alert_id, 0)
            told[each.alert_id] = each.sequence


@given(lives(), KINDS, st.data())
def test_what_comes_again_changes_nothing(
    life: list[tuple[float, AlertRaised]], raw: dict[str, Any], data: st.DataObject
) -> None:
    """Redelivered at once, or all of it replayed at the end."""
    again = [each for event in life for each in [event] * data.draw(st.integers(1, 2), label="times")]
    replayed = [(ending(life), each) for _, each in life]
    until = ending(life) + SOON_AFTER
    assert run(notifier(raw), [*again, *replayed], until) == run(notifier(raw), life, until)


@given(lives(), KINDS)
def test_looking_without_need_changes_nothing(
    life: list[tuple[float, AlertRaised]], raw: dict[str, Any]
) -> None:
    """Any replica may look at any time: until the group is due there is nothing to do."""
    to = notifier(raw)
    _, group = run(to, life, ending(life))
    found = look(group, to, ending(life))
    assert (found.group, found.tell) == (group, None)
