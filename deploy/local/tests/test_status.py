"""What ``fairlead status`` shows, and the file it reads."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fairlead import run_file
from fairlead.data_dir import DataDir
from fairlead.errors import BadInput
from fairlead.run_file import ProcessEntry, RunFile, SimulatorEntry
from fairlead.status import ProcessStatus, duration, to_json, to_text

NOW = datetime(2026, 11, 25, 12, 5, tzinfo=UTC)
BEGAN = "2026-11-25T12:00:00+00:00"
NATS = ProcessEntry("nats", "nats", 17, "http://127.0.0.1:1", "/healthz", 0, BEGAN, "/d/logs/nats.log")
HEALTH = ProcessEntry(
    "health", "service", None, "http://127.0.0.1:2", "/readyz", 3, BEGAN, "/d/logs/health.log"
)
RUN = RunFile(
    pid=5,
    started_at=BEGAN,
    data_dir="/d",
    edge_url="http://127.0.0.1:8080",
    edge_urls=["http://127.0.0.1:8080"],
    docs_url="http://127.0.0.1:8080/api/docs",
    dashboard_url=None,
    api_key_file="/d/api-key",
    nats_url="nats://admin:secret-of-nats@127.0.0.1:3",
    postgres_dsn="postgresql://fairlead:secret-of-postgres@/fairlead",
    providers=["openai"],
    processes=[NATS, HEALTH],
    simulators={"openai": SimulatorEntry("http://127.0.0.1:4", "http://127.0.0.1:5")},
)
FOUND = [ProcessStatus(NATS, None, 300), ProcessStatus(HEALTH, "it ended and will be started again", 2)]


def test_for_people() -> None:
    text = to_text(RUN, FOUND, {"openai": ["stall (9 s left)"], "cohere": []}, ".fairlead", NOW)
    assert text.splitlines() == [
        "Fairlead in .fairlead: up for 5 min, 1 of 2 processes ready",
        "",
        "  NAME    STATE     PID  UP FOR  RESTARTS  ADDRESS",
        "  nats    ready     17   5 min   0         http://127.0.0.1:1",
        "  health  starting  -    -       3         http://127.0.0.1:2",
        "",
        "  edge http://127.0.0.1:8080/v1, API docs http://127.0.0.1:8080/api/docs, key in /d/api-key",
        "  health: it ended and will be started again",
        "  fault: openai stall (9 s left)",
    ]


def test_for_programs_and_without_passwords() -> None:
    text = to_json(RUN, FOUND, {}, ".fairlead", NOW)
    body = json.loads(text)
    assert (body["ready"], body["up_for_s"], body["pid"]) == (False, 300.0, 5)
    assert [each["state"] for each in body["processes"]] == ["ready", "starting"]
    assert "secret" not in text


def test_a_process_that_runs_and_does_not_serve_is_not_ready() -> None:
    assert ProcessStatus(replace(HEALTH, pid=9), "503", 1).state == "not ready"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"), (3660, "1 h 1 min"), (90_000, "1 d 1 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_run_file_reads_back_as_it_was_written() -> None:
    assert RunFile.from_json(RUN.to_json()) == RUN


def test_passwords_do_not_show_in_its_representation() -> None:
    assert "secret" not in repr(RUN)


def test_a_run_that_is_not_ready_yet_says_so(tmp_path: Path) -> None:
    folder = DataDir.of(tmp_path)
    folder.make()
    with folder.locked(), pytest.raises(BadInput, match="is starting or stopping"):
        run_file.read(folder)


def test_a_run_file_that_a_killed_run_left_counts_for_nothing(tmp_path: Path) -> None:
    folder = DataDir.of(tmp_path)
    folder.make()
    run_file.write(folder, RUN)
    with pytest.raises(BadInput, match="nothing runs in"):
        run_file.read(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"processes": [1], "simulators": {}}'])
def test_a_damaged_run_file_is_named(tmp_path: Path, text: str) -> None:
    folder = DataDir.of(tmp_path)
    folder.make()
    folder.run_file.write_text(text)
    with folder.locked(), pytest.raises(BadInput, match=r"run.json cannot be read"):
        run_file.read(folder)
