"""`fairlead quality train` and `evaluate`: the edge's quality table from a file of outcomes."""

import json
from dataclasses import asdict
from pathlib import Path

from fairlead_routing.quality.outcomes import Outcomes
from fairlead_routing.quality.training import train

from fairlead.bench.files import data_sets
from fairlead.errors import BadInput, FairleadError
from fairlead.terminal import Terminal


def quality(file: Path, seed: int, out: Path | None) -> int:
    """Train and judge a table; write it to ``out`` when it may be used.

    Raises:
        BadInput: the file holds no outcomes, or ``out`` cannot be written.
        FairleadError: a table was to be written and is not shown to be better than the means per task class.
    """
    (data,) = data_sets([file]) if file.is_file() else (None,)
    if not isinstance(data, Outcomes):
        raise BadInput(f"'{file}' holds no outcomes of models; see `fairlead bench routing --help`")
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
