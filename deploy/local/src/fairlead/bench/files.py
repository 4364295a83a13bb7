"""Reads files of outcomes and of latencies, recognised by their columns or keys; says what a file lacks."""

import csv
import json
import re
from collections.abc import Mapping, Sequence
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
"""Measurements of a region closer to each other than this belong to one round."""
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
            rows = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise BadInput(f"'{file}' is not JSON: {error}") from error
        known = isinstance(rows, list) and rows and isinstance(rows[0], dict)
        return _scores(file, rows) if known and {"question", "scores"} <= rows[0].keys() else None
    with file.open(encoding="utf-8", newline="") as lines:
        reader = csv.DictReader(lines)
        columns = set(reader.fieldnames or ())
        if {"prompt_id", "model", "correct"} <= columns:
            return _graded(file, list(reader))
        if {"time", "region", "model", "total_time_s"} <= columns:
            return f"{file.parent.name}/{file.name}", _trace(file, list(reader))
    return None


def _number(file: Path, row: int, name: str, text: object) -> float:
    try:
        value = float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        value = float("nan")
    if not np.isfinite(value):
        raise BadInput(f"'{file}', record {row}: {name} should be a number, found {text!r}")
    return value


def _scores(file: Path, rows: list[Any]) -> Outcomes:
    arms = tuple(sorted({arm for row in rows for arm in row.get("scores", {})}))
    quality = np.full((len(rows), len(arms)), np.nan)
    place = {arm: column for column, arm in enumerate(arms)}
    for position, row in enumerate(rows, start=1):
        if not isinstance(row.get("question"), str) or not isinstance(row.get("scores"), dict):
            raise BadInput(
                f"'{file}', record {position}: expected question (text) and scores (model to number)"
            )
        for arm, score in row["scores"].items():
            if score is not None:
                quality[position - 1, place[arm]] = _number(file, position, f"the score of {arm}", score)
    key = next((key for key in TASK_KEYS if key in rows[0]), None)
    tasks = tuple(str(row.get(key)) if key else "all" for row in rows)
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
    return outcomes


def _trace(file: Path, rows: list[dict[str, str]]) -> list[Measurement]:
    timed = []
    for position, row in enumerate(rows, start=1):
        try:
            moment = datetime.fromisoformat(row["time"])
        except ValueError as error:
            raise BadInput(
                f"'{file}', record {position}: time should be ISO 8601, found {row['time']!r}"
            ) from error
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        failed = bool(row.get("error"))
        seconds = None if failed else _number(file, position, "total_time_s", row["total_time_s"])
        timed.append((moment.timestamp(), row, seconds))
    timed.sort(key=lambda each: each[0])
    last: dict[str, tuple[float, float]] = {}
    found = []
    for time_s, row, seconds in timed:
        before, start = last.get(row["region"], (-ROUND_S, time_s))
        start = time_s if time_s - before >= ROUND_S else start
        last[row["region"]] = (time_s, start)
        found.append(
            Measurement(time_s, start, row["region"], model_of(row["model"]), provider_of(row), seconds)
        )
    return found


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
