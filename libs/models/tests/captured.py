"""The requests of the vendors' official SDKs and the answers they parsed, as captured in ``../shared/wire``."""

import json
from functools import cache
from pathlib import Path
from typing import Any

WIRE = Path(__file__).parents[3] / ".." / "shared" / "wire"
ABSENT = "absent"
"""The one parameter of tests over captures where ``../shared`` is absent; they say so and end."""


@cache
def capture(name: str) -> dict[str, Any]:
    """One capture, by vendor/case."""
    found: dict[str, Any] = json.loads((WIRE / f"{name}.json").read_text())
    return found


def captures(vendor: str, *prefixes: str) -> list[str]:
    """Names of the captures of a vendor whose case begins with one of ``prefixes``; ``[ABSENT]`` without any."""
    paths = sorted((WIRE / vendor).glob("*.json"))
    names = [f"{vendor}/{path.stem}" for path in paths if path.stem.startswith(prefixes)]
    return [name for name in names if capture(name)["requests"]] or [ABSENT]


def absent(name: str) -> bool:
    """True, and said, when there are no captures."""
    if name == ABSENT:
        print(f"{WIRE} is absent: nothing to compare with")  # noqa: T201 - the test's only finding
    return name == ABSENT


def asked(name: str) -> dict[str, Any]:
    """Body of the request."""
    found: dict[str, Any] = capture(name)["requests"][0]["body_json"]
    return found


def answered(name: str) -> tuple[int, dict[str, str], bytes]:
    """(status, headers in lower case, body) of the answer; a stream's events one after another."""
    found = capture(name)["responses"][0]
    headers = {key.lower(): value for key, value in found.get("headers") or ()}
    if "sse" in found:
        return found["status"], headers, "".join(found["sse"]).encode()
    body = found.get("body")
    held = body if isinstance(body, str) else json.dumps(body)
    return found["status"], headers, held.encode()
