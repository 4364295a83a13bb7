"""What a process said last, and keeping logs bounded."""

from pathlib import Path

import pytest
from fairlead import logs

GROUP = """\
  + Exception Group Traceback (most recent call last):
  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)
  +-+---------------- 1 ----------------
    | ValueError: what was wrong
    +------------------------------------
"""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("first\nlast\n\n", "last"),
        ('{"level": "ERROR", "message": "it broke"}\n', "it broke"),
        (
            '{"message": "it broke", "exception": "Traceback\\n  File\\nKeyError: 1"}\n',
            "it broke: KeyError: 1",
        ),
        ('{"vendor": "openai"}\n', '{"vendor": "openai"}'),
        (GROUP, "ValueError: what was wrong"),
        ("x" * 500 + "\n", "x" * 197 + "..."),
        ("", None),
    ],
)
def test_the_last_line(tmp_path: Path, text: str, found: str | None) -> None:
    path = tmp_path / "a.log"
    path.write_text(text)
    assert logs.last_line(path) == found


def test_lines_of_an_earlier_life_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("of before\n")
    assert logs.last_line(path, since=logs.size(path)) is None


def test_a_log_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert logs.last_line(tmp_path / "none.log") is None


def test_a_large_log_is_put_aside_while_its_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with path.open("a") as writer:
        writer.write("x" * 200)
        writer.flush()
        logs.bound(tmp_path, max_bytes=100)
        writer.write("after")
        writer.flush()
    assert path.read_text() == "after"
    assert (tmp_path / "a.log.1").read_text() == "x" * 200


def test_a_small_log_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("x")
    logs.bound(tmp_path, max_bytes=100)
    assert [each.name for each in tmp_path.iterdir()] == ["a.log"]
