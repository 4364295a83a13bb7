"""What a killed run leaves is ended before the next one; what merely has the same number is not."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fairlead import leftovers
from fairlead.data_dir import DataDir

from tests.support.stack import alive


@pytest.fixture
def folder(tmp_path: Path) -> DataDir:
    return DataDir.of(tmp_path)


@pytest.fixture
def process() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as found:
        yield found
        found.kill()


def test_a_process_that_was_left_is_ended(folder: DataDir, process: "subprocess.Popen[bytes]") -> None:
    leftovers.note(folder, {"nats": process.pid})
    assert leftovers.end(folder) == ["nats"]
    assert not alive(process.pid)
    assert not folder.processes_file.exists()


def test_a_process_that_got_the_number_since_is_left_alone(
    folder: DataDir, process: "subprocess.Popen[bytes]"
) -> None:
    folder.processes_file.write_text(json.dumps({"nats": {"pid": process.pid, "birth": "another boot 1"}}))
    assert leftovers.end(folder) == []
    assert alive(process.pid)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"nats": 1}', '{"nats": {"pid": "x", "birth": null}}'])
def test_a_damaged_note_says_nothing(folder: DataDir, text: str) -> None:
    folder.processes_file.write_text(text)
    assert leftovers.end(folder) == []


def test_nothing_noted_nothing_to_end(folder: DataDir) -> None:
    assert leftovers.end(folder) == []


def test_a_process_that_has_ended_has_no_birth(process: "subprocess.Popen[bytes]") -> None:
    assert leftovers.birth(process.pid) == leftovers.birth(process.pid)
    process.kill()
    process.wait()
    assert leftovers.birth(process.pid) is None
