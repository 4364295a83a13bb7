"""``run.json``: where everything is while Fairlead runs. Written by ``fairlead up`` alone, read by everything else."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from fairlead.data_dir import DataDir, write_private
from fairlead.errors import BadInput


@dataclass(frozen=True)
class ProcessEntry:
    """One supervised process. ``pid`` None = it is between a crash and its restart."""

    name: str
    kind: str
    pid: int | None
    url: str | None
    ready_path: str
    restarts: int
    started_at: str
    log: str


@dataclass(frozen=True)
class SimulatorEntry:
    """Addresses of one simulated provider."""

    url: str
    control_url: str


@dataclass(frozen=True)
class RunFile:
    """The content of the file."""

    pid: int
    started_at: str
    data_dir: str
    edge_url: str
    edge_urls: list[str]
    docs_url: str
    dashboard_url: str | None
    api_key_file: str
    nats_url: str = field(repr=False)
    postgres_dsn: str = field(repr=False)
    providers: list[str]
    processes: list[ProcessEntry]
    simulators: dict[str, SimulatorEntry]

    def to_json(self) -> str:
        """As it lies on disk."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "RunFile":
        """Read it back. Raises ValueError, TypeError or KeyError when it is something else."""
        found: dict[str, Any] = json.loads(text)
        found["processes"] = [ProcessEntry(**each) for each in found["processes"]]
        found["simulators"] = {k: SimulatorEntry(**each) for k, each in found["simulators"].items()}
        return cls(**found)


def write(folder: DataDir, content: RunFile) -> None:
    """Replace the file; only its owner may read it, it holds passwords."""
    write_private(folder.run_file, content.to_json())


def read(folder: DataDir) -> RunFile:
    """The file of the run that holds ``folder`` now.

    Raises:
        BadInput: nothing runs there, or it is not ready yet.
    """
    if folder.holder() is None:
        raise BadInput(
            f"nothing runs in {folder.shown}; start it with `fairlead up`, or name the folder of a run with --data-dir"
        )
    try:
        return RunFile.from_json(folder.run_file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(
            f"the run in {folder.shown} is starting or stopping; try again in a few seconds"
        ) from None
    except (ValueError, TypeError, KeyError) as error:
        raise BadInput(f"{folder.run_file} cannot be read ({error}); restart the run") from error
