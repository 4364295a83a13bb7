"""The reference pages say what the code says."""

from pathlib import Path

import pytest

from tests.deploy import reference

PAGES = reference.pages()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_page_is_the_code_s(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == PAGES[path], "write it again: python -m tests.deploy.reference"


def test_every_setting_says_what_it_is() -> None:
    rows = [line for line in PAGES[reference.SETTINGS].splitlines() if line.startswith("| `FAIRLEAD_")]
    assert [row for row in rows if row.endswith("|  |")] == []
