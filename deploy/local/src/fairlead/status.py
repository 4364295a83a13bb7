"""``fairlead status``: asks every process of a run whether it is ready, and shows it to people or to programs."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from fairlead import run_file
from fairlead.data_dir import DataDir
from fairlead.faults import active_faults
from fairlead.plan import Kind
from fairlead.readiness import not_ready
from fairlead.run_file import ProcessEntry, RunFile


@dataclass(frozen=True)
class ProcessStatus:
    """One process and how it is; ``reason`` says why it is not ready."""

    entry: ProcessEntry
    reason: str | None
    up_for_s: float

    @property
    def state(self) -> str:
        """ready, starting or not ready."""
        if self.reason is None:
            return "ready"
        return "starting" if self.entry.pid is None else "not ready"


def status(folder: DataDir, *, as_json: bool) -> int:
    """Print it; 0 when everything is ready, 1 when something is not.

    Raises:
        BadInput: nothing runs there.
    """
    run = run_file.read(folder)
    found, faults = asyncio.run(_ask(run))
    write = to_json if as_json else to_text
    print(write(run, found, faults, folder.shown, datetime.now(UTC)))
    return 0 if all(each.reason is None for each in found) else 1


async def _ask(run: RunFile) -> tuple[list[ProcessStatus], dict[str, list[str]]]:
    now = datetime.now(UTC)
    reasons, faults = await asyncio.gather(
        asyncio.gather(*(_reason(run, entry) for entry in run.processes)), active_faults(run)
    )
    return [
        ProcessStatus(entry, reason, (now - datetime.fromisoformat(entry.started_at)).total_seconds())
        for entry, reason in zip(run.processes, reasons, strict=True)
    ], faults


async def _reason(run: RunFile, entry: ProcessEntry) -> str | None:
    if entry.pid is None:
        return "it ended and will be started again"
    return await not_ready(Kind(entry.kind), entry.url, entry.ready_path, run.postgres_dsn)


def to_json(
    run: RunFile, found: Sequence[ProcessStatus], faults: dict[str, list[str]], shown: str, now: datetime
) -> str:
    """For programs; without passwords, which are in ``run.json``."""
    del shown
    body = {
        "ready": all(each.reason is None for each in found),
        "pid": run.pid,
        "up_for_s": round((now - datetime.fromisoformat(run.started_at)).total_seconds(), 1),
        "data_dir": run.data_dir,
        "edge_urls": run.edge_urls,
        "docs_url": run.docs_url,
        "dashboard_url": run.dashboard_url,
        "api_key_file": run.api_key_file,
        "providers": run.providers,
        "faults": faults,
        "processes": [
            {
                "name": each.entry.name,
                "kind": each.entry.kind,
                "state": each.state,
                "reason": each.reason,
                "pid": each.entry.pid,
                "url": each.entry.url,
                "restarts": each.entry.restarts,
                "up_for_s": round(each.up_for_s, 1),
                "log": each.entry.log,
            }
            for each in found
        ],
    }
    return json.dumps(body, indent=2)


def to_text(
    run: RunFile, found: Sequence[ProcessStatus], faults: dict[str, list[str]], shown: str, now: datetime
) -> str:
    """For people."""
    ready = sum(each.reason is None for each in found)
    up_for = duration((now - datetime.fromisoformat(run.started_at)).total_seconds())
    rows: list[tuple[str, ...]] = [("NAME", "STATE", "PID", "UP FOR", "RESTARTS", "ADDRESS")]
    rows += [_row(each) for each in found]
    lines = [f"Fairlead in {shown}: up for {up_for}, {ready} of {len(found)} processes ready", ""]
    lines += [f"  {line}" for line in table(rows)]
    lines += ["", f"  edge {run.edge_url}/v1, API docs {run.docs_url}, key in {run.api_key_file}"]
    lines += [f"  {each.entry.name}: {each.reason}" for each in found if each.reason is not None]
    lines += [f"  fault: {name} {', '.join(kinds)}" for name, kinds in faults.items() if kinds]
    return "\n".join(lines)


def _row(each: ProcessStatus) -> tuple[str, ...]:
    entry = each.entry
    up_for = duration(each.up_for_s) if entry.pid is not None else "-"
    return (entry.name, each.state, str(entry.pid or "-"), up_for, str(entry.restarts), entry.url or "-")


def table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows as lines with aligned columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def duration(seconds: float) -> str:
    """``42 s``, ``3 min``, ``2 h 5 min``, ``3 d 4 h``."""
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86_400)
    if minutes < 1:
        return f"{int(seconds)} s"
    if hours < 1:
        return f"{minutes} min"
    if days < 1:
        return f"{hours} h {minutes % 60} min"
    return f"{days} d {hours % 24} h"
