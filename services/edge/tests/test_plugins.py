"""The strategy of the documentation's worked example, installed as its readers would, in a real edge."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fairlead_common.plugins import load_plugins, usable
from fairlead_common.snapshots.routes import RoutesSnapshot, RuleSnapshot
from fairlead_simulator.testing import Running

from tests.support.edge import edge_process, put_snapshot, spec_of

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "docs" / "examples" / "strategy"
RULE = RuleSnapshot(rule_id=1, name="for the money", strategy="frugal", priority=1, conditions={})


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with the example installed."""
    uv = ROOT / ".uv" / "bin" / "uv"
    command = [
        str(uv) if uv.exists() else shutil.which("uv") or "uv",
        "pip",
        "install",
        "--offline",
        "--no-deps",
    ]
    folder = tmp_path / "site"
    subprocess.run(
        [*command, "--python", sys.executable, "--target", str(folder), str(EXAMPLE)],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return folder


def test_it_is_found_and_what_cannot_be_loaded_says_why(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = site / "broken-1.0.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (broken / "entry_points.txt").write_text("[fairlead.strategies]\nbroken = nowhere:score\n")
    monkeypatch.syspath_prepend(str(site))
    first, second = load_plugins()
    assert (first.name, first.package, first.score) == ("broken", "broken 1.0", None)
    assert first.problem == "it cannot be loaded: ModuleNotFoundError: No module named 'nowhere'"
    assert (second.name, second.package, second.problem) == ("frugal", "frugal-strategy 1.0.0", None)
    assert second.meaning.startswith("Quality, less half a point")
    assert usable([first, second]).keys() == {"frugal"}


async def test_an_edge_decides_by_it(tmp_path: Path, site: Path, vendors: dict[str, Running]) -> None:
    put_snapshot(tmp_path, "routes", {"1": RoutesSnapshot(workspace_id=1, version=1, rules=(RULE,))})
    specs = (spec_of(vendors["openai"]), spec_of(vendors["google"]))
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    async with edge_process(tmp_path, specs, PYTHONPATH=path) as edge:
        request = {"model": "auto", "messages": [{"role": "user", "content": "Hello"}]}
        answer = await edge.client().post("/v1/chat/completions", json=request)
        assert answer.status_code == 200
        assert answer.headers["x-fairlead-rule"] == "for the money"
        explained = await edge.client().post("/api/providers/routing/explain", json={"model": "auto"})
        assert explained.json()["strategy"] == "frugal"
