"""``python -m fairlead_common.run <service>``: what a container runs, with the service as its argument.

It runs the service's own module inside this very process, so that signals reach it, and gives it what only the container
knows: the name of the replica. ``check`` asks the service in the same container whether it lives.
"""

import importlib.util
import os
import pkgutil
import re
import runpy
import socket
import sys
import urllib.request
from collections.abc import MutableMapping
from typing import Final

SETUP: Final = "setup"
CHECK: Final = "check"
PREFIX: Final = "fairlead_"
CHECK_TIMEOUT_S: Final = 3.0


class UnknownService(Exception):
    """No such service in this image; the message names those that are there."""


def services() -> list[str]:
    """Names of what is installed here and can be run."""
    found = [module.name for module in pkgutil.iter_modules() if module.name.startswith(PREFIX)]
    return sorted(name.removeprefix(PREFIX) for name in found if _is_program(name))


def _is_program(package: str) -> bool:
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return any(module.name == "__main__" for module in pkgutil.iter_modules(places))


def module_of(service: str) -> str:
    """The module to run for ``service``.

    Raises:
        UnknownService: there is none in this image.
    """
    if service == SETUP:
        return f"{PREFIX}common.setup"
    if service not in (known := services()):
        names = ", ".join([*known, SETUP, CHECK])
        raise UnknownService(f"there is no service '{service}' in this image; there are {names}")
    return PREFIX + service


def name_replica(environ: MutableMapping[str, str], hostname: str) -> None:
    """Without ``FAIRLEAD_INSTANCE`` a replica is called as its host, which is unique among containers."""
    environ.setdefault("FAIRLEAD_INSTANCE", re.sub("[^A-Za-z0-9_-]", "-", hostname)[:63] or "replica")


def alive(port: str) -> bool:
    """Whether the service on ``port`` of this host answers ``/livez``."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=CHECK_TIMEOUT_S) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


def main(arguments: list[str]) -> None:
    """Run what the first argument names; the rest is for it. A mistake: one line, exit code 2."""
    if not arguments:
        sys.stderr.write(f"usage: fairlead <service>; one of {', '.join([*services(), SETUP, CHECK])}\n")
        sys.exit(2)
    service, *rest = arguments
    if service == CHECK:
        sys.exit(0 if alive(os.environ.get("FAIRLEAD_HTTP_PORT", "8080")) else 1)
    try:
        module = module_of(service)
    except UnknownService as error:
        sys.stderr.write(f"fairlead: {error}\n")
        sys.exit(2)
    name_replica(os.environ, socket.gethostname())
    sys.argv = [service, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
