"""From what a drill recorded to figures and verdicts, on records made by hand."""

from dataclasses import replace
from typing import Any

import pytest
from fairlead.drills.measures import measure, quantile
from fairlead.drills.outages import trigger_at
from fairlead.drills.requests import Cut, Ending, ending_of
from fairlead.drills.scenario import Verb
from fairlead.drills.verdict import Verdict, judge, overall

from tests.support.drills import BEGAN, OUTAGE, SCENARIO, asked, outage, said, seen, step, tried


def test_an_outage_is_timed_from_its_beginning_and_its_recovery_from_its_end() -> None:
    (found,) = measure(outage()).outages
    assert (found.provider, found.failed_attempts) == ("openai", 7)
    assert found.detected_s == pytest.approx(0.3)
    assert found.switched_s == pytest.approx(0.25), "trials of a provider known to be bad do not count"
    assert found.recovered_s == pytest.approx(3.0)


def test_a_recovery_from_the_outage_before_is_none_of_this_one() -> None:
    earlier = said(1.2, "failover.recovered.1", to_target="openai", switched_event_id="of an earlier one")
    (found,) = measure(outage(more=[said(0.5, "failover.switched.1", from_target="openai"), earlier])).outages
    assert found.recovered_s == pytest.approx(3.0)


def test_propagation_counts_from_the_fifth_failure_in_a_row_to_each_edges_last_regular_attempt() -> None:
    (found,) = measure(outage()).outages
    assert found.propagation_ms == pytest.approx((0.0, 0.0, 100.0), abs=0.01)


def test_the_extra_time_of_a_rescued_request_leaves_out_its_attempts() -> None:
    found = measure(outage())
    assert found.rescued == 6
    assert found.rescued_extra_ms == pytest.approx([5.0] * 6, abs=0.01)
    assert found.usual_extra_ms == ()


def test_an_outage_that_all_goes_well_with_passes() -> None:
    judged = judge(SCENARIO, measure(outage()))
    assert {each.verdict for each in judged} == {Verdict.PASS}


def test_the_trigger_is_the_promised_condition_and_a_limit_of_rate_is_none() -> None:
    failures = [tried(n, n / 10, error="server_error") for n in range(6)]
    assert trigger_at(failures, BEGAN) == pytest.approx(BEGAN + 0.41)
    assert trigger_at(failures[:4], BEGAN) is None
    assert trigger_at(failures, BEGAN + 0.5) is None
    assert trigger_at([replace(each, error_class="rate_limited") for each in failures], BEGAN) is None


def test_what_went_well_before_an_outage_counts_in_the_share_of_successes() -> None:
    answered = [tried(n, n / 100) for n in range(100)]
    mixed = [tried(n, 1 + n / 100, error=None if n % 2 else "server_error") for n in range(100, 180)]
    alone, all_of_it = trigger_at(mixed, BEGAN), trigger_at([*answered, *mixed], BEGAN)
    assert alone == pytest.approx(mixed[4].ended), "3 of the first 5 failed"
    assert all_of_it == pytest.approx(mixed[66].ended, abs=0.05), "34 of 167 failed: less than 80 % went well"


def test_where_nobody_decides_for_the_fleet_each_edge_has_a_trigger_of_its_own() -> None:
    blind = replace(SCENARIO, blind=True, switches="allowed")
    of_edge = {edge: [edge + 3 * n for n in range(7)] for edge in range(3)}
    attempts = [
        tried(number, 1 + n * 0.1 + edge, error="server_error")
        for edge, numbers in of_edge.items()
        for n, number in enumerate(numbers[: (5, 7, 4)[edge]])
    ]
    found = seen([asked(n, 1) for n in range(21)], attempts, done=OUTAGE, scenario=blind)
    (one,) = measure(found).outages
    assert one.propagation_ms == pytest.approx((0.0, 190.0)), "the third edge saw four failures: no trigger"
    names = {each.name: each.verdict for each in judge(blind, measure(found))}
    assert names["switch of each edge after its own trigger, p99"] is Verdict.PASS


@pytest.mark.parametrize(
    ("ending", "promise"),
    [
        (Ending.FAILED, "errors seen by callers"),
        (Ending.LOST, "errors seen by callers"),
        (Ending.SILENT, "errors seen by callers"),
        (Ending.REFUSED, "errors seen by callers"),
        (Ending.LATE, "errors seen by callers"),
        (Ending.TOLD, "streams cut and told"),
    ],
)
def test_whatever_a_caller_notices_fails_the_drill(ending: Ending, promise: str) -> None:
    calm = replace(SCENARIO, switches="forbidden")
    judged = judge(calm, measure(seen([asked(1, 1, ending=ending)], scenario=calm)))
    assert [each.name for each in judged if each.verdict is Verdict.FAIL] == [promise]


def test_a_told_stream_is_allowed_where_the_scenario_says_so() -> None:
    told = replace(SCENARIO, switches="forbidden", streams="told")
    assert (
        overall(judge(told, measure(seen([asked(1, 1, ending=Ending.TOLD)], scenario=told)))) is Verdict.PASS
    )


@pytest.mark.parametrize(
    ("edge", "more", "in_flight", "errors"),
    [
        (1, {"stream": True, "ending": Ending.LOST}, 1, 0),
        (2, {"stream": True, "ending": Ending.LOST}, 0, 1),
        (1, {"stream": True, "ending": Ending.SILENT}, 0, 1),
        (1, {"stream": True, "ending": Ending.LOST, "status": 0}, 0, 1),
        (1, {"ending": Ending.LOST}, 0, 1),
    ],
)
def test_only_a_stream_that_had_begun_on_a_killed_edge_may_break(
    edge: int, more: dict[str, Any], in_flight: int, errors: int
) -> None:
    found = measure(seen([asked(edge, 0.99, 0.05, **more)], done=[step(1, Verb.KILL, "edge-2")]))
    assert (found.in_flight_lost, found.errors) == (in_flight, errors)


@pytest.mark.parametrize(("cut", "errors"), [(Cut(1, BEGAN + 1.01), 0), (Cut(0, BEGAN + 1.01), 1)])
def test_sending_again_is_no_error_only_where_the_edge_was_killed(cut: Cut, errors: int) -> None:
    found = measure(seen([asked(2, 0.99, 0.05, cuts=[cut])], done=[step(1, Verb.KILL, "edge-2")]))
    assert (found.resent, found.in_flight_lost, found.errors) == ({"answered": 1}, 0, errors)


def test_outcomes_that_are_missing_or_there_twice_fail_the_drill() -> None:
    calm = replace(SCENARIO, switches="forbidden")
    requests = [asked(1, 1), asked(2, 2), asked(3, 3)]
    found = measure(seen(requests, scenario=calm, times={"c1": 0, "c2": 2, "c3": 1}))
    assert (found.lost, found.doubled) == (("c1",), 1)
    assert overall(judge(calm, found)) is Verdict.FAIL


def test_a_model_and_its_provider_together_are_one_switch() -> None:
    found = measure(outage())
    assert (found.switches, found.recoveries) == ({"openai": 1}, {"openai": 1})


def test_a_second_switch_in_one_outage_is_flapping() -> None:
    again = said(9, "failover.switched.1", from_target="openai")
    judged = judge(SCENARIO, measure(outage(more=[again])))
    assert "switches" in [each.name for each in judged if each.verdict is Verdict.FAIL]


def test_a_switch_that_did_not_happen_fails_the_drill_that_requires_it() -> None:
    judged = judge(SCENARIO, measure(replace(outage(), heard=())))
    assert "the fleet switched" in [each.name for each in judged if each.verdict is Verdict.FAIL]


def test_a_promise_that_nothing_could_be_measured_on_says_so() -> None:
    judged = judge(SCENARIO, measure(seen([asked(1, 1)])))
    assert {each.name for each in judged if each.verdict is Verdict.NOT_MEASURED} == {
        "extra time of rescued requests, p99",
        "fleet-wide switch after the trigger, p99",
    }


@pytest.mark.parametrize(
    ("stream", "status", "body", "ending"),
    [
        (False, 200, b"{}", Ending.ANSWERED),
        (False, 503, b"{}", Ending.FAILED),
        (True, 429, b"{}", Ending.FAILED),
        (True, 200, b"data: {}\n\ndata: [DONE]\n\n", Ending.ANSWERED),
        (True, 200, b'data: {"error": {}}\n\n', Ending.TOLD),
        (True, 200, b'data: {"error": {}}\n\ndata: [DONE]\n\n', Ending.TOLD),
        (True, 200, b"data: {}\n\n", Ending.SILENT),
        (True, 200, b"", Ending.SILENT),
    ],
)
def test_endings(stream: bool, status: int, body: bytes, ending: Ending) -> None:
    assert ending_of(stream, status, body) is ending


def test_quantiles_are_values_that_were_seen() -> None:
    assert quantile([], 0.5) is None
    assert quantile([3, 1, 2], 0.5) == 2
    assert quantile(range(1, 101), 0.99) == 99
