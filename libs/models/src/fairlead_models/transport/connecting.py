"""Making one connection, each phase measured by itself: the name is looked up, an address connected, the line secured."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any

from fairlead_models.transport.protocol import Phases

Address = tuple[int, int, int, str, Any]
"""As ``getaddrinfo`` gives it: family, type, protocol, canonical name, socket address."""


async def connect(
    protocol: Callable[[], asyncio.Protocol], host: str, port: int, tls: ssl.SSLContext | None, phases: Phases
) -> None:
    """Connect ``protocol`` to the first address of ``host`` that answers; ``phases`` is filled in as they end.

    Raises:
        OSError: the name is unknown, no address answers (the last one's error), or TLS fails.
    """
    loop, began = asyncio.get_running_loop(), time.perf_counter()
    addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    phases.dns_ms, began = _since(began)
    line = await _reach(loop, addresses)
    phases.connect_ms, began = _since(began)
    try:
        await loop.create_connection(
            protocol, sock=line, ssl=tls, server_hostname=host if tls is not None else None
        )
    except BaseException:
        line.close()
        raise
    if tls is not None:
        phases.tls_ms, _ = _since(began)


async def _reach(loop: asyncio.AbstractEventLoop, addresses: Sequence[Address]) -> socket.socket:
    error: OSError = socket.gaierror(socket.EAI_NONAME, "the name has no address")
    for family, kind, proto, _, address in addresses:
        line = socket.socket(family, kind, proto)
        line.setblocking(False)
        try:
            await loop.sock_connect(line, address)
        except OSError as failed:
            line.close()
            error = failed
        except BaseException:
            line.close()
            raise
        else:
            return line
    raise error


def _since(began: float) -> tuple[float, float]:
    """Milliseconds since ``began``, and now."""
    now = time.perf_counter()
    return (now - began) * 1000, now
