"""The report in its four forms: what a drill found is in each of them, in a form that its reader can use."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from fairlead.drills.document import document
from fairlead.drills.drill import NotRun, Outcome
from fairlead.drills.measures import measure
from fairlead.drills.page import page
from fairlead.drills.rates import Rung
from fairlead.drills.report import COLUMNS, as_json, complaints, table
from fairlead.drills.timeline import timeline
from fairlead.drills.verdict import judge

from tests.support.drills import SCENARIO, asked, outage, said


@pytest.fixture
def outcome() -> Outcome:
    """An outage in which the traffic was moved away twice."""
    again = said(9, "failover.switched.1", from_target="openai")
    seen = outage(more=[again])
    measures = measure(seen)
    return Outcome(SCENARIO, 30, seen, measures, judge(SCENARIO, measures))


MISSING = NotRun(SCENARIO, "StartFailed: the stack did not come up <at all>")


def test_the_table_has_a_column_for_every_figure_and_a_line_for_every_drill(outcome: Outcome) -> None:
    head, line = table([outcome, MISSING]).splitlines()
    assert [each for each in COLUMNS if each not in head] == []
    assert line.split()[0] == "one"
    assert line.endswith("FAIL")


def test_a_broken_promise_and_a_drill_that_was_not_run_are_told_with_the_reason(outcome: Outcome) -> None:
    lines = complaints([outcome, MISSING]).splitlines()
    assert "one: switches: promised at most 1, found 2" in lines
    assert lines[-1] == "one: not run: StartFailed: the stack did not come up <at all>"


def test_the_json_holds_what_the_table_holds(outcome: Outcome) -> None:
    first, second = json.loads(json.dumps(as_json([outcome, MISSING], {})))["drills"]
    assert (first["requests"], first["errors"], first["lost_outcomes"], first["rescued"]) == (6, 0, [], 6)
    assert first["outages"][0]["propagation_ms_per_edge"] == [0.0, 0.0, 100.0]
    assert [each["step"] for each in first["steps"]] == ["openai fault", "openai mend"]
    assert second["not_run"].startswith("StartFailed")


def test_the_chart_is_sound_xml_with_a_description_in_words(outcome: Outcome) -> None:
    root = ET.fromstring(timeline(outcome.seen))
    words = {child.tag.rpartition("}")[2]: child.text for child in root}
    assert words["title"] == SCENARIO.title
    assert "6 requests: google answered 6" in str(words["desc"])
    assert "at 1.30 s moved away from openai" in str(words["desc"])


def test_requests_that_were_due_late_are_in_the_chart_too() -> None:
    seen = outage(requests=[asked(1, 0.0), asked(2, 30.0)])
    assert timeline(seen).count("<rect") == 2


class Links(HTMLParser):
    """Ids, and what links and other files a page names."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.to: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.add(str(value))
            elif name in ("href", "src"):
                self.to.append(str(value))


def test_the_page_stands_alone_and_its_links_lead_somewhere(outcome: Outcome) -> None:
    text = page([outcome, MISSING], "Run here & now.", {})
    found = Links()
    found.feed(text)
    assert found.to == ["#one"]
    assert found.ids == {"one"}
    assert "<script" not in text
    assert "&lt;at all&gt;" in text
    assert "Run here &amp; now." in text


def test_the_page_of_documentation_says_what_was_promised_found_and_not_kept(outcome: Outcome) -> None:
    text = document([outcome, MISSING], "Run here.", {})
    assert text.startswith("# Drills\n")
    assert "Run here. 0 of 2 drills passed." in text
    assert "- `one`: switches: promised at most 1, found 2." in text
    assert "- `one` was not run: StartFailed" in text


def test_the_rates_that_were_tried_are_in_every_report(outcome: Outcome) -> None:
    tried = {
        "standard": (Rung(100, 600, 600, 3.0, 200.0, 0.5, 0.2), Rung(130, 780, 779, 4.0, 210.0, 0.5, 0.3))
    }
    assert as_json([outcome], tried)["rates_tried"]["standard"][1]["answered"] == 779
    words = "130/s: beyond the attempts p99 4.0 ms, latency p99 210.0 ms, recorded after 0.5 s, cores 30% busy: too high"
    text = document([outcome], "Run here.", tried)
    assert text.startswith("# Drills at the highest rate\n")
    assert "Stack `standard`: 100 requests per second." in text
    assert words in text
    assert words in page([outcome], "Run here.", tried)


def test_checks_before_drills_are_told_when_they_lowered_the_rate(outcome: Outcome) -> None:
    search = Rung(130, 780, 780, 4.0, 210.0, 0.5, 0.3)
    tried = {"standard": (search, replace(search, busy=0.8, before="one"), replace(search, before="two"))}
    text = document([outcome], "Run here.", tried)
    assert "Stack `standard`: 130 requests per second." in text
    assert "- before one, 130/s:" in text
    assert "before two" not in text
