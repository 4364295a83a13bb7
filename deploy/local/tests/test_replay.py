"""``fairlead replay outages``: files as they come, mistakes with their lines, and what is printed."""

import json
from pathlib import Path

import pytest
from fairlead import cli

HEADER = "start,end,provider\n"
BOTH = HEADER + (
    "2025-01-01T00:00:00Z,2025-01-01T00:10:00Z,openai\n"
    "2025-01-01T00:05:00Z,2025-01-01T00:20:00Z,anthropic\n"
    "2025-01-01T00:15:00Z,2025-01-01T00:20:00Z,anthropic\n"
    "2025-01-02T00:00:00Z,2025-01-02T00:30:00Z,openai\n"
)
EPOCHS = (
    "provider,cause,end,start\n"
    "openai,x,1735690200,1735689600\n"
    "anthropic,,1735690800,1735689900\n"
    'openai,"a, b",1735777800.0,1735776000000\n'
)
TWO_DAYS = ["--period", "2025-01-01T00:00:00Z/2025-01-03T00:00:00Z"]


def replayed(path: Path, text: str, *words: str) -> list[str]:
    path.write_text(text)
    return ["replay", "outages", str(path), *words]


def test_the_figures_of_two_providers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """40 of 2,880 minutes openai is down, 20 anthropic, 5 both; each outage of openai is noticed after a second."""
    assert cli.main(replayed(tmp_path / "o.csv", BOTH, "--json", *TWO_DAYS)) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["primary"] == "openai"
    assert found["period"]["seconds"] == 172800
    assert [(each["provider"], each["outages"], each["down_minutes"]) for each in found["providers"]] == [
        ("openai", 2, 40),
        ("anthropic", 1, 15),
    ]
    assert found["availability_without_failover"] == pytest.approx(1 - 40 / 2880)
    assert found["availability_with_failover"] == pytest.approx(1 - 5 / 2880)
    assert found["availability_ceiling"] == pytest.approx(1 - 5 / 2880)
    assert found["wrong_provider_minutes"] == pytest.approx(2 / 60)
    assert found["switches"] == 4
    assert found["all_down"] == [
        {"start": "2025-01-01T00:05:00Z", "end": "2025-01-01T00:10:00Z", "minutes": 5}
    ]


def test_the_same_for_people_and_another_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--providers", "anthropic, openai,google", *TWO_DAYS]
    assert cli.main(replayed(tmp_path / "o.csv", BOTH, *words)) == 0
    printed = capsys.readouterr().out
    for part in (
        "in order of preference: anthropic, openai, google",
        "99.4792%       1 outages         15.0 minutes down   (primary)",
        "google                  100.0000%",
        "all down: 0 times",
    ):
        assert part in printed


@pytest.mark.parametrize(
    "text",
    [
        BOTH,
        "\ufeff" + BOTH,
        BOTH.replace(",", ";"),
        BOTH.replace(",", "\t"),
        BOTH.replace("\n", "\r\n") + "\r\n,,\r\n",
        BOTH.replace("Z", "+00:00"),
        BOTH.replace("Z", ""),
        BOTH.replace("T", " "),
        BOTH.replace(HEADER, "START, End ,Provider\n"),
        EPOCHS,
    ],
)
def test_a_file_may_come_in_many_forms(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    assert cli.main(replayed(tmp_path / "o.csv", text, "--json")) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["period"]["start"], found["period"]["end"]) == (
        "2025-01-01T00:00:00Z",
        "2025-01-02T00:30:00Z",
    )
    assert [each["down_minutes"] for each in found["providers"]] == [40, 15]


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("", [], "the header lacks start and end and provider"),
        ("start,stop,provider\n", [], "line 1: the header lacks end"),
        (HEADER, [], "names no outage"),
        (HEADER + "\n2025-01-01,2025-01-02,a\nsoon,2025-01-02,a\n", [], "line 4: 'soon' is no time"),
        (HEADER + "2025-01-02,2025-01-01,a\n", [], "line 2: the end '2025-01-01' lies before the start"),
        (
            HEADER + "2025-01-01,,a\n2025-01-01\n",
            [],
            "line 2: end is empty; line 3: end and provider is empty",
        ),
        (HEADER + "-5,1,a\n", [], "line 2: '-5' is no epoch"),
        (HEADER + "2025-01-01,2025-01-01,a\n", [], "spans no time"),
        (BOTH, ["--providers", "a,,b"], "expected names with commas"),
        (BOTH, ["--providers", "opnai"], "has no outage of opnai; it has openai, anthropic"),
        (BOTH, ["--providers", "openai,openai"], "names openai twice"),
        (BOTH, ["--period", "2025-01-01"], "expected START/END"),
        (BOTH, ["--period", "2025-01-02/2025-01-01"], "does not lie after its start"),
        (BOTH, ["--detection", "-1"], "expected seconds"),
    ],
)
def test_a_mistake_says_where_and_what(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: list[str], message: str
) -> None:
    assert cli.main(replayed(tmp_path / "o.csv", text, *words)) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert message in printed.err


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["replay", "outages", str(tmp_path / "none.csv")]) == 2
    assert "cannot read" in capsys.readouterr().err
