"""What the user asked for, checked and typed."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class UpOptions:
    """Options of ``fairlead up``. ``port`` 0 = any free one."""

    port: int = 8080
    data_dir: Path = Path(".fairlead")
    simulators: bool = True
    providers_file: Path | None = None
    demo: bool = False
    edges: int = 1
    replicas: int = 1
    nats_nodes: int = 1
    """1, or 3 for a cluster that survives the loss of a node."""
    settings: tuple[tuple[str, str, str], ...] = ()
    """(service, setting, value): ``--set health.probe_interval_s=5``."""
