"""Finding TCP ports of loopback that stay free while a process that listens on one is started again."""

import random
import socket
from collections.abc import Iterator

from fairlead.errors import BadInput

HOST = "127.0.0.1"
RANGE = range(18_000, 30_000)
"""Below the ephemeral range of every system, so that no outgoing connection takes a port while its owner restarts."""


def is_free(port: int) -> bool:
    """True when a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_ports() -> Iterator[int]:
    """Distinct free ports, without end.

    Raises:
        BadInput: none is left.
    """
    for port in random.sample(RANGE, len(RANGE)):
        if is_free(port):
            yield port
    raise BadInput(
        f"no free port of {HOST} between {RANGE.start} and {RANGE.stop}; stop something that listens there"
    )


def require_free(port: int) -> None:
    """Refuse a port that somebody listens on.

    Raises:
        BadInput: it cannot be had.
    """
    if not is_free(port):
        raise BadInput(
            f"port {port} of {HOST} cannot be had: something listens there, or it needs rights;"
            " choose another with --port (0 = any free one)"
        )
