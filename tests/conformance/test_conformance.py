"""The conformance matrix: nothing is lost in silence, and the document says what is true."""

import re
from pathlib import Path

import pytest

from tests.conformance.matrix import CALLERS, DOCUMENT, everything, matrix, rendered


@pytest.mark.timeout(600)
async def test_every_cell_works_or_is_told_and_the_document_says_so(tmp_path: Path) -> None:
    async with everything(tmp_path) as edge:
        tables = {caller: await matrix(edge, caller) for caller in CALLERS}
    honest = re.compile(r"(works|told \([a-z_]+\)|refused \(.+\))(; streamed: .+)?")
    silent = {
        cell: found
        for table in tables.values()
        for cell, found in table.items()
        if not honest.fullmatch(found)
    }
    assert silent == {}
    assert DOCUMENT.read_text(encoding="utf-8") == rendered(tables), "run: python -m tests.conformance.matrix"
