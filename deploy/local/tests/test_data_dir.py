"""The folder of a run: its lock, its secrets, its limits."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from fairlead.data_dir import SOCKET_PATH_LIMIT, DataDir, api_key, passwords, write_private
from fairlead.errors import BadInput

HOLD = """
import sys
from pathlib import Path
from fairlead.data_dir import DataDir
with DataDir.of(Path(sys.argv[1])).locked():
    print("held", flush=True)
    sys.stdin.read()
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def folder(tmp_path: Path) -> DataDir:
    found = DataDir.of(tmp_path / "data")
    found.make()
    return found


def test_the_folder_and_the_key_are_private(folder: DataDir) -> None:
    api_key(folder)
    assert mode(folder.path) == 0o700
    assert mode(folder.key_file) == 0o600


def test_the_key_is_made_once(folder: DataDir) -> None:
    key = api_key(folder)
    assert key.startswith("fl-")
    assert api_key(folder) == key


def test_passwords_are_made_once_and_a_new_name_gets_its_own(folder: DataDir) -> None:
    first = passwords(folder, ["a"])
    second = passwords(folder, ["a", "b"])
    assert second["a"] == first["a"]
    assert second["b"] != first["a"]
    assert mode(folder.secrets_file) == 0o600
    assert json.loads(folder.secrets_file.read_text()) == second


def test_lost_passwords_of_a_database_are_noticed_before_anything_starts(folder: DataDir) -> None:
    folder.postgres.mkdir()
    with pytest.raises(BadInput, match=r"secrets.json is missing"):
        passwords(folder, ["a"])


def test_damaged_passwords_are_named(folder: DataDir) -> None:
    folder.secrets_file.write_text("{")
    with pytest.raises(BadInput, match=r"secrets.json is damaged"):
        passwords(folder, ["a"])


def test_a_file_that_is_replaced_never_shows_half_its_content(folder: DataDir) -> None:
    path = folder.path / "file"
    write_private(path, "one")
    write_private(path, "two")
    assert path.read_text() == "two"
    assert [each.name for each in folder.path.iterdir() if "file" in each.name] == ["file"]


def test_a_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=r"cannot be written to .*name another one with --data-dir"):
        DataDir.of(tmp_path / "file" / "data").make()


def test_a_long_path_gets_a_short_socket(tmp_path: Path) -> None:
    assert DataDir.of(Path("/short")).sockets == Path("/short/sockets")
    long = DataDir.of(tmp_path / ("x" * 100)).sockets
    assert len(str(long / ".s.PGSQL.5432")) <= SOCKET_PATH_LIMIT
    assert long != DataDir.of(tmp_path / ("y" * 100)).sockets


def test_looking_at_a_folder_makes_nothing(tmp_path: Path) -> None:
    folder = DataDir.of(tmp_path / "data")
    folder.require_free()
    assert folder.holder() is None
    assert not folder.path.exists()


def test_a_held_folder_is_refused_with_the_holder_until_he_ends(folder: DataDir) -> None:
    command = [sys.executable, "-c", HOLD, str(folder.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert folder.holder() == holder.pid
        with pytest.raises(BadInput, match=rf"held by another run \(pid {holder.pid}\)"), folder.locked():
            pass
        with pytest.raises(BadInput, match=r"stop that one with `fairlead down --data-dir "):
            folder.require_free()
        holder.kill()
    assert folder.holder() is None
    with folder.locked():
        pass
