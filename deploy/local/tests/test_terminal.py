"""How a person is told to call the command."""

import os
import sys
from pathlib import Path

import pytest
from fairlead.terminal import command


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A virtual environment with a ``fairlead`` in it, which is not on the path; the current folder is its parent."""
    binaries = tmp_path / "checkout" / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "fairlead").touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(binaries / "python"))
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.chdir(tmp_path / "checkout")
    return binaries


def test_a_command_that_the_shell_does_not_find_is_named_by_its_path(environment: Path) -> None:
    assert command() == ".venv/bin/fairlead"


def test_a_command_on_the_path_is_named_bare(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{environment}:{os.defpath}")
    assert command() == "fairlead"


def test_another_program_of_this_name_on_the_path_is_not_meant(
    environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "fairlead").touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{other}:{os.defpath}")
    assert command() == ".venv/bin/fairlead"
