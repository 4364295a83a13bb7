"""Reads files of outcomes and of latencies, recognised by their columns or keys; says what a file lacks."""

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from fairlead_routing.quality.latency import Measurement
from fairlead_routing.quality.outcomes import Outcomes

from fairlead.errors import BadInput

OUTPUT_TOKENS: Final = 400
CHARS_PER_TOKEN: Final = 4
ROUND_S: Final = 600.0
"""Measurements of a region closer to each other than this belong to one round, until one of them is made again."""
TASK_KEYS: Final = ("cluster_id", "task", "task_name", "category")
SAME_PROVIDER: Final = {
    "@cf": "cloudflare",
    "cloudflare.com": "cloudflare",
    "togethercomputer": "together",
    "together.ai": "together",
    "together.xyz": "together",
    "octoai.run": "octo.ai",
    "text.octoai.run": "octo.ai",
    "azuredatabricks.net": "databricks.com",
}
TRUTHS: Final = {"true": 1.0, "false": 0.0}
UNKNOWN: Final = ("", "na", "nan", "null", "none")
"""What stands in a cell of which nothing is known."""
DataSet = Outcomes | tuple[str, list[Measurement]]


def data_sets(paths: Sequence[Path]) -> list[DataSet]:
    """Everything found in files and folders.

    Raises:
        BadInput: a path that is absent, a named file that is not recognised, or nothing at all.
    """
    found: list[DataSet] = []
    for path in paths:
        if not path.exists():
            raise BadInput(f"'{path}' does not exist; name a file or a folder of outcomes or latencies")
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            read = _read(file) if file.suffix in (".csv", ".json") else None
            if read is not None:
                found.append(read)
            elif path.is_file():
                raise BadInput(
                    f"'{file}' is not of a known shape; expected a CSV with prompt_id, model, correct or with time, "
                    "region, model, total_time_s, or a JSON list with question and scores"
                )
    if not found:
        raise BadInput(f"no outcomes or latencies found in {', '.join(map(str, paths))}")
    return found


def _read(file: Path) -> DataSet | None:
    if file.suffix == ".json":
        try:
            rows = json.loads(file.read_text(encoding="utf-8-sig"))
        except ValueError as error:
            raise BadInput(f"'{file}' is not JSON: {error}") from error
        known = isinstance(rows, list) and rows and isinstance(rows[0], dict)
        return _scores(file, rows) if known and {"question", "scores"} <= rows[0].keys() else None
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines, skipinitialspace=True)
        columns = set(reader.fieldnames or ())
        if {"prompt_id", "model", "correct"} <= columns:
            return _graded(file, list(reader))
        if {"time", "region", "model", "total_time_s"} <= columns:
            return f"{file.parent.name}/{file.name}", _trace(file, list(reader))
    return None


def _number(file: Path, row: int, name: str, text: object) -> float:
    if isinstance(text, str) and (truth := TRUTHS.get(text.strip().lower())) is not None:
        return truth
    try:
        value = float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        value = float("nan")
    if not np.isfinite(value):
        raise BadInput(f"'{file}', record {row}: {name} should be a number, found {text!r}")
    return value


def _scores(file: Path, rows: list[Any]) -> Outcomes:
    for position, row in enumerate(rows, start=1):
        known = isinstance(row, dict) and isinstance(row.get("question"), str)
        if not known or not isinstance(row.get("scores"), dict):
            raise BadInput(
                f"'{file}', record {position}: expected question (text) and scores (model to number)"
            )
    arms = tuple(sorted({arm for row in rows for arm in row["scores"]}))
    quality = np.full((len(rows), len(arms)), np.nan)
    place = {arm: column for column, arm in enumerate(arms)}
    for position, row in enumerate(rows, start=1):
        for arm, score in row["scores"].items():
            if not _is_unknown(score):
                quality[position - 1, place[arm]] = _number(file, position, f"the score of {arm}", score)
    key = next((key for key in TASK_KEYS if any(key in row for row in rows)), None)
    tasks = tuple(str(row.get(key, "other")) if key else "all" for row in rows)
    prompts = tuple(row["question"] for row in rows)
    return _checked(
        file,
        Outcomes(
            f"{file.parent.name}/{file.name}", prompts, tasks, arms, quality, _prices(file, arms, prompts)
        ),
    )


def _prices(file: Path, arms: Sequence[str], prompts: Sequence[str]) -> Any:
    beside = file.with_name("default_llm.json")
    if not beside.is_file():
        return None
    table = json.loads(beside.read_text(encoding="utf-8"))
    if not all(arm in table and "input_price" in table[arm] and "output_price" in table[arm] for arm in arms):
        return None
    tokens = sum(map(len, prompts)) / max(1, len(prompts)) / CHARS_PER_TOKEN
    cost = np.array(
        [tokens * table[arm]["input_price"] + OUTPUT_TOKENS * table[arm]["output_price"] for arm in arms],
        dtype=float,
    )
    return cost / cost.max() if cost.max() > 0 else None


def _graded(file: Path, rows: list[dict[str, str]]) -> Outcomes:
    ids = {prompt: row for row, prompt in enumerate(dict.fromkeys(row["prompt_id"] for row in rows))}
    arms = tuple(sorted({row["model"] for row in rows}))
    place = {arm: column for column, arm in enumerate(arms)}
    quality = np.full((len(ids), len(arms)), np.nan)
    for position, row in enumerate(rows, start=1):
        if not _is_unknown(row["correct"]):
            value = _number(file, position, "correct", row["correct"])
            quality[ids[row["prompt_id"]], place[row["model"]]] = value
    texts = _prompts(file)
    prompts = tuple(texts.get(prompt, prompt) for prompt in ids)
    name = f"{file.parent.name}/{file.name}"
    return _checked(file, Outcomes(name, prompts, ("all",) * len(ids), arms, quality))


def _prompts(file: Path) -> Mapping[str, str]:
    beside = file.with_name(file.name.replace("outcomes", "prompts")).with_suffix(".jsonl")
    if not beside.is_file():
        return {}
    rows = (json.loads(line) for line in beside.read_text(encoding="utf-8").splitlines() if line.strip())
    return {row["prompt_id"]: row["prompt"] for row in rows}


def _checked(file: Path, outcomes: Outcomes) -> Outcomes:
    if len(outcomes.prompts) < 20 or len(outcomes.arms) < 2:
        found = f"{len(outcomes.prompts)} prompts of {len(outcomes.arms)} models"
        raise BadInput(f"'{file}' has {found}; at least 20 prompts of 2 models are needed")
    often = np.isfinite(outcomes.quality).mean(axis=0) >= 0.5
    if often.sum() < 2:
        raise BadInput(
            f"'{file}': fewer than 2 models have an outcome for half of the prompts; "
            "they cannot be compared on the same ones"
        )
    return outcomes


def _trace(file: Path, rows: list[dict[str, str]]) -> list[Measurement]:
    timed = []
    for position, row in enumerate(rows, start=1):
        failed = not _is_unknown(row.get("error")) or _is_unknown(row["total_time_s"])
        seconds = None if failed else _number(file, position, "total_time_s", row["total_time_s"])
        timed.append((_unix(file, position, row["time"]), row, seconds))
    timed.sort(key=lambda each: each[0])
    rounds: dict[str, _Round] = {}
    found = []
    for time_s, row, seconds in timed:
        name = (row["model"], row.get("provider") or "")
        round_ = rounds.get(row["region"])
        if round_ is None or time_s - round_.latest >= ROUND_S or name in round_.seen:
            round_ = rounds[row["region"]] = _Round(time_s, time_s)
        round_.latest = time_s
        round_.seen.add(name)
        found.append(
            Measurement(
                time_s, round_.start, row["region"], model_of(row["model"]), provider_of(row), seconds
            )
        )
    return found


@dataclass(slots=True)
class _Round:
    """Measurements of a region that follow each other closely, none of them of the same model at the same provider."""

    start: float
    latest: float
    seen: set[tuple[str, str]] = field(default_factory=set)


def _unix(file: Path, row: int, text: str) -> float:
    """Unix seconds of an ISO 8601 time (UTC where it names no zone), or of Unix seconds."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise BadInput(
            f"'{file}', record {row}: time should be ISO 8601 or Unix seconds, found {text!r}"
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _is_unknown(cell: object) -> bool:
    return cell is None or (isinstance(cell, str) and cell.strip().lower() in UNKNOWN)


def model_of(name: str) -> str:
    """The model without its provider and without what says how it is served: llama-2-70b for Llama-2-70b-chat-hf."""
    model = name.lower().rsplit("/", 1)[-1].removeprefix("fixie-")
    model = re.sub(r"\.[a-z0-9]+\.azure$", "", model)
    model = re.sub(r"llama-?v?([23])", r"llama-\1", model)
    return re.sub(r"-(instruct|chat|hf|fp16|int8|v0\.1|32768|8192|4096)(?=-|$)", "", model)


def provider_of(row: Mapping[str, str]) -> str:
    """The provider of a measurement, by its own column or by the model's name where that is empty."""
    name = (row.get("provider") or "").lower()
    if not name:
        model = row["model"].lower()
        name = ".".join(model.split(".")[-2:]) if model.endswith(".azure") else model.split("-")[0]
        name = {"gpt": "openai", "claude": "anthropic", "command": "cohere"}.get(name, name)
    name = re.sub(r"^(api\.|fixie-)", "", name)
    if name.endswith(".azure"):
        name = f"azure.{name.removesuffix('.azure')}"
    return SAME_PROVIDER.get(name, name)
