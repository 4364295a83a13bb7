"""`fairlead quality train` and `evaluate`: the edge's quality table from a file of outcomes or a workspace's A/B tests."""

import asyncio
import json
from dataclasses import asdict
from pathlib import Path

from fairlead_routing.quality.outcomes import Outcomes
from fairlead_routing.quality.training import train

from fairlead.bench.files import data_sets
from fairlead.bench.workspace import workspace_outcomes
from fairlead.errors import BadInput, FairleadError
from fairlead.terminal import Terminal


def from_file(file: Path) -> Outcomes:
    """The outcomes of a file. Raises BadInput when it holds none."""
    (data,) = data_sets([file]) if file.is_file() else (None,)
    if not isinstance(data, Outcomes):
        raise BadInput(f"'{file}' holds no outcomes of models; see `fairlead bench routing --help`")
    return data


def from_workspace(edge_url: str, key_file: Path) -> Outcomes:
    """The outcomes of a workspace's A/B tests. Raises BadInput when there are too few, or the edge refuses."""
    try:
        key = key_file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BadInput(f"cannot read the API key in '{key_file}': {error.strerror}") from error
    return asyncio.run(workspace_outcomes(edge_url, key))


def quality(data: Outcomes, seed: int, out: Path | None) -> int:
    """Train and judge a table; write it to ``out`` when it may be used.

    Raises:
        BadInput: ``out`` cannot be written.
        FairleadError: a table was to be written and is not shown to be better than the means per task class.
    """
    trained = train(data, seed)
    gain = f"{trained.gain.value:+.4f} [{trained.gain.low:+.4f}, {trained.gain.high:+.4f}]"
    Terminal().say(f"{data.name}: held-out gain of the table over per-task best: {gain}")
    if out is None:
        return 0
    if not trained.usable:
        raise FairleadError(
            f"the table is not written: its gain over per-task best, {gain}, does not exclude a loss; "
            "more outcomes may show one"
        )
    try:
        out.write_text(json.dumps(asdict(trained.table)) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot write '{out}': {error.strerror}") from error
    Terminal().say(f"written to {out}: {len(trained.table.qualities)} clusters")
    return 0
