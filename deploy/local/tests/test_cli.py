"""Words to options, mistakes to one line and exit code 2."""

from pathlib import Path

import pytest
from fairlead import cli


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["up", "--prot", "1"], "unrecognized arguments: --prot 1"),
        (["up", "--port", "99999"], "argument --port: expected a port from 0 to 65535, found '99999'"),
        (["up", "--edges", "0"], "argument --edges: expected a number from 1 to 16, found '0'"),
        (["up", "--set", "health"], "argument --set: expected SERVICE.NAME=VALUE, found 'health'"),
        (["upp"], "invalid choice: 'upp'"),
        ([], "the following arguments are required: COMMAND"),
        (["fault", "openai", "stall", "--for", "soon"], "expected seconds greater than 0, found 'soon'"),
        (["fault", "openai", "stall", "--with", "x"], "expected NAME=VALUE, found 'x'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("fairlead: ")
    assert printed.err.count("\n") == 1
    assert message in printed.err


@pytest.mark.parametrize(
    "words", [["status"], ["status", "--json"], ["down"], ["fault", "list"], ["fault", "openai", "stall"]]
)
def test_nothing_runs_there(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "nothing"
    assert cli.main([*words, "--data-dir", str(folder)]) == 2
    assert capsys.readouterr().err.startswith(f"fairlead: nothing runs in {folder};")
    assert not folder.exists()


def test_options_reach_up_as_they_were_given() -> None:
    words = "up --port 0 --data-dir d --no-simulators --providers p.yaml --edges 2 --replicas 3".split()
    options = cli.up_options(cli.parser().parse_args([*words, "--set", "health.probe_interval_s=5"]))
    assert (options.port, options.data_dir, options.simulators) == (0, Path("d"), False)
    assert (options.providers_file, options.demo, options.edges) == (Path("p.yaml"), False, 2)
    assert (options.replicas, options.settings) == (3, (("health", "probe_interval_s", "5"),))


def test_every_command_has_a_help(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["up"], ["status"], ["down"], ["fault"]):
        with pytest.raises(SystemExit) as ended:
            cli.main([*words, "--help"])
        assert ended.value.code == 0
    assert "slow_first_token" in capsys.readouterr().out
