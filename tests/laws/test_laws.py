"""The rules of this code base that matter most, executable. Each failure says which line breaks which rule."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MEMBERS = [
    *sorted((ROOT / "services").iterdir()),
    *sorted((ROOT / "libs").iterdir()),
    ROOT / "deploy" / "local",
]
SERVICES = {
    f"fairlead_{path.name}" for path in sorted((ROOT / "services").iterdir()) if (path / "src").is_dir()
}

IMPURE_MODULES = {
    "asyncio",
    "time",
    "random",
    "secrets",
    "logging",
    "os",
    "httpx",
    "nats",
    "faststream",
    "sqlalchemy",
    "sqlmodel",
}
IMPURE_CALLS = {
    "datetime.now",
    "datetime.utcnow",
    "uuid.uuid4",
    "new_id",
    "utc_now",
    "stamp",
    "open",
    "print",
}

EVENT_OWNERS = {
    "ProviderStatusPublished": {"fairlead_health"},
    "AlertRaised": {"fairlead_health", "fairlead_failover"},
    "FailoverSwitched": {"fairlead_failover"},
    "FailoverRecovered": {"fairlead_failover"},
    "ProviderPerformancePublished": {"fairlead_comparison"},
    "ReportPublished": {"fairlead_comparison"},
    "WireDriftSeen": {"fairlead_edge"},
    "CallsCompleted": {"fairlead_edge", "fairlead_abtest", "fairlead_health", "fairlead_failover"},
    "RunTestJob": {"fairlead_abtest"},
    "TestResultRecorded": {"fairlead_abtest"},
}


def sources() -> list[Path]:
    return sorted(path for member in MEMBERS for path in (member / "src").rglob("*.py"))


def package(path: Path) -> str:
    return path.parts[path.parts.index("src") + 1]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module


def calls(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func)


def at(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def is_pure(path: Path) -> bool:
    return path.name == "domain.py" or "domain" in path.parts or "decisions" in path.parts


def test_a_service_never_imports_another_service() -> None:
    broken = [
        f"{at(path, line)} imports {name}"
        for path in sources()
        for line, name in imports(path)
        if (top := name.split(".")[0]) in SERVICES and package(path) in SERVICES and top != package(path)
    ]
    assert not broken


def test_libraries_depend_downwards_only() -> None:
    allowed = {
        "fairlead_common": {"fairlead_common"},
        "fairlead_models": {"fairlead_models", "fairlead_common"},
        "fairlead_simulator": {"fairlead_simulator"},
    }
    broken = [
        f"{at(path, line)} imports {name}"
        for path in sources()
        if package(path) in allowed
        for line, name in imports(path)
        if name.startswith("fairlead_") and name.split(".")[0] not in allowed[package(path)]
    ]
    assert not broken


def test_the_core_is_pure() -> None:
    broken = []
    for path in filter(is_pure, sources()):
        broken += [
            f"{at(path, line)} imports {name}"
            for line, name in imports(path)
            if name.split(".")[0] in IMPURE_MODULES
        ]
        broken += [f"{at(path, line)} calls {name}" for line, name in calls(path) if name in IMPURE_CALLS]
        broken += [
            f"{at(path, node.lineno)} awaits"
            for node in ast.walk(tree(path))
            if isinstance(node, (ast.Await, ast.AsyncFunctionDef))
        ]
    assert not broken


def test_the_request_path_uses_no_heavy_client_and_no_database() -> None:
    forbidden = {
        "httpx",
        "aiohttp",
        "requests",
        "sqlalchemy",
        "sqlmodel",
        "asyncpg",
        "fastapi",
        "nats",
        "faststream",
    }
    hot = [path for path in sources() if package(path) == "fairlead_edge" and "dataplane" in path.parts]
    hot += [path for path in sources() if package(path) == "fairlead_models"]
    assert hot
    broken = [
        f"{at(path, line)} imports {name}"
        for path in hot
        for line, name in imports(path)
        if name.split(".")[0] in forbidden
    ]
    assert not broken


def test_subscribers_are_made_in_one_place() -> None:
    """That place names stream, durable and ack policy for each of them."""
    broken = [
        at(path, line)
        for path in sources()
        for line, name in calls(path)
        if name.endswith("broker.subscriber") and "bus" not in path.parts
    ]
    assert not broken


def test_only_the_owner_makes_an_event() -> None:
    broken = [
        f"{at(path, line)} makes {name}"
        for path in sources()
        for line, name in calls(path)
        if name in EVENT_OWNERS and package(path) not in EVENT_OWNERS[name]
    ]
    assert not broken


def test_every_event_has_an_owner() -> None:
    folder = ROOT / "libs/common/src/fairlead_common/events"
    made = {
        node.name
        for path in folder.glob("*.py")
        for node in tree(path).body
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Event" for base in node.bases)
    }
    assert made == set(EVENT_OWNERS)


def test_no_assert_in_what_runs() -> None:
    broken = [
        at(path, node.lineno)
        for path in sources()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Assert)
    ]
    assert not broken


def test_nothing_reads_the_environment_at_import() -> None:
    broken = [
        at(path, node.lineno)
        for path in sources()
        for statement in tree(path).body
        if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.If))
        for node in ast.walk(statement)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.getenv")
    ]
    assert not broken


@pytest.mark.parametrize("name", ["utils.py", "helpers.py", "manager.py", "base.py", "misc.py"])
def test_no_file_with_a_name_that_says_nothing(name: str) -> None:
    assert not [str(path.relative_to(ROOT)) for path in sources() if path.name == name]


def test_every_module_says_what_it_does() -> None:
    assert not [str(path.relative_to(ROOT)) for path in sources() if not ast.get_docstring(tree(path))]


def test_tests_do_not_sleep() -> None:
    """Waiting is for a condition (``tests.support.waiting.until``) or an event; a short pause inside such a loop is fine."""
    broken = []
    for path in sorted(ROOT.glob("*/**/tests/**/*.py")) + sorted((ROOT / "tests").rglob("*.py")):
        if ".venv" in path.parts:
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "time.sleep",
                "asyncio.sleep",
                "sleep",
            ):
                pause = node.args[0] if node.args else None
                if not (
                    isinstance(pause, ast.Constant)
                    and isinstance(pause.value, int | float)
                    and pause.value <= 0.1
                ):
                    broken.append(at(path, node.lineno))
    assert not broken
