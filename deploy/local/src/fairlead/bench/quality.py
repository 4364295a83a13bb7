"""`fairlead quality train`, `evaluate` and `install`: the edges' quality table from outcomes of models."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from fairlead_common.operations.routing_predictor import Predictor
from fairlead_common.snapshots.predictor import Evaluation, LearnedTable
from fairlead_routing.quality.outcomes import Outcomes
from fairlead_routing.quality.training import train
from pydantic import ValidationError

from fairlead.bench.files import data_sets
from fairlead.bench.workspace import TIMEOUT_S, workspace_outcomes
from fairlead.errors import BadInput, FairleadError
from fairlead.local_http import request
from fairlead.terminal import Terminal


def from_file(file: Path) -> Outcomes:
    """The outcomes of a file. Raises BadInput when it holds none."""
    (data,) = data_sets([file]) if file.is_file() else (None,)
    if not isinstance(data, Outcomes):
        raise BadInput(f"'{file}' holds no outcomes of models; see `fairlead bench routing --help`")
    return data


def from_workspace(edge_url: str, key_file: Path) -> Outcomes:
    """The outcomes of a workspace's A/B tests. Raises BadInput when there are too few, or the edge refuses."""
    return asyncio.run(workspace_outcomes(edge_url, _key(key_file)))


def quality(data: Outcomes, seed: int, out: Path | None) -> int:
    """Train and judge a table; write it to ``out`` when it may be used.

    Raises:
        BadInput: ``out`` cannot be written.
        FairleadError: a table was to be written and is not shown to be better than the means per task class.
    """
    trained = train(data, seed)
    gain = _gain(trained.evaluation)
    Terminal().say(f"{data.name}: held-out gain of the table over per-task best: {gain}")
    if out is None:
        return 0
    if not trained.evaluation.passed:
        raise FairleadError(
            f"the table is not written: its gain over per-task best, {gain}, does not exclude a loss; "
            "more outcomes may show one"
        )
    try:
        out.write_text(trained.model_dump_json() + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot write '{out}': {error.strerror}") from error
    Terminal().say(f"written to {out}: {len(trained.clusters)} clusters")
    return 0


def install(file: Path, edge_url: str, key_file: Path, names: Mapping[str, str]) -> int:
    """Let the key's workspace decide by a table.

    Args:
        names: name of a model in the table to its provider/model.

    Raises:
        BadInput: no such table, no such key, or no edge answers.
        FairleadError: the edge refuses the table.
    """
    table, key = _renamed(_table(file), names), _key(key_file)
    answer = asyncio.run(_put(edge_url, key, table))
    Terminal().say(
        f"version {answer.version} decides now: {len(table.clusters)} clusters, {', '.join(table.models)};"
        f" gain over per-task best {_gain(table.evaluation)}"
    )
    return 0


def _table(file: Path) -> LearnedTable:
    try:
        return LearnedTable.model_validate_json(file.read_bytes())
    except OSError as error:
        raise BadInput(f"cannot read '{file}': {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise BadInput(
            f"'{file}' is no table of `fairlead quality train`: {place}: {first['msg']}"
        ) from error


def _renamed(table: LearnedTable, names: Mapping[str, str]) -> LearnedTable:
    if unknown := sorted(set(names) - set(table.models)):
        raise BadInput(f"the table has no model '{unknown[0]}'; it has {', '.join(table.models)}")
    clusters = tuple(
        each.model_copy(
            update={"quality": {names.get(name, name): value for name, value in each.quality.items()}}
        )
        for each in table.clusters
    )
    return table.model_copy(update={"clusters": clusters})


async def _put(edge_url: str, key: str, table: LearnedTable) -> Predictor:
    url = f"{edge_url.rstrip('/')}/api/providers/routing/predictor"
    headers = {"Authorization": f"Bearer {key}"}
    try:
        answer = await request("PUT", url, table.model_dump(mode="json"), headers, TIMEOUT_S)
    except (OSError, TimeoutError) as error:
        raise BadInput(f"{url} does not answer: {error}") from error
    if answer.status != 200:
        text = answer.body[:1000].decode(errors="replace")
        raise FairleadError(f"the table is refused: {url} answered {answer.status}: {text}")
    return Predictor.model_validate_json(answer.body)


def _key(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BadInput(f"cannot read the API key in '{file}': {error.strerror}") from error


def _gain(found: Evaluation) -> str:
    return f"{found.gain:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"
