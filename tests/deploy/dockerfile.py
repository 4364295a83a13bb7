"""Reading a Dockerfile: instructions, stages, and the build context that .dockerignore leaves."""

import fnmatch
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"


@dataclass(frozen=True)
class Instruction:
    """One instruction, its continued lines joined."""

    word: str
    text: str

    @property
    def listed(self) -> list[str]:
        """The words of the exec form. Raises ValueError for a shell form."""
        found: list[str] = json.loads(self.text[self.text.index("[") :])
        return found


def read(path: Path = DOCKERFILE) -> list[Instruction]:
    """All instructions in order."""
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    found = []
    for line in joined.splitlines():
        word, _, rest = line.strip().partition(" ")
        found.append(Instruction(word.upper(), " ".join(rest.split())))
    return found


def stages(instructions: list[Instruction]) -> list[list[Instruction]]:
    """The instructions of each stage, beginning with its FROM."""
    found: list[list[Instruction]] = []
    for each in instructions:
        if each.word == "FROM":
            found.append([])
        if found:
            found[-1].append(each)
    return found


def copied_from_context(instructions: list[Instruction]) -> list[tuple[list[str], str]]:
    """(sources, destination) of each COPY that reads the build context."""
    found = []
    for each in instructions:
        if each.word == "COPY" and not each.text.startswith("--from="):
            *sources, destination = each.text.split()
            found.append((sources, destination))
    return found


def ignored(path: str, rules: list[str]) -> bool:
    """Docker's rule: the last pattern that matches the path or a folder above it decides."""
    parts = path.split("/")
    above = ["/".join(parts[: i + 1]) for i in range(len(parts))]
    decided = False
    for rule in rules:
        pattern = rule.removeprefix("!")
        anywhere = pattern.removeprefix("**/")
        candidates = above if anywhere == pattern else [each.rpartition("/")[2] for each in above]
        if any(_matches(candidate, anywhere) for candidate in candidates):
            decided = not rule.startswith("!")
    return decided


def _matches(path: str, pattern: str) -> bool:
    return path.count("/") == pattern.count("/") and fnmatch.fnmatchcase(path, pattern)


def context(folder: Path) -> Path:
    """A copy of what the build sees: the COPY sources without what .dockerignore leaves out."""
    rules = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    for sources, _ in copied_from_context(read()):
        for source in sources:
            _copy(ROOT / source, folder, rules)
    return folder


def _copy(path: Path, folder: Path, rules: list[str]) -> None:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    for each in files:
        relative = each.relative_to(ROOT).as_posix()
        if not ignored(relative, rules):
            target = folder / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(each, target)
