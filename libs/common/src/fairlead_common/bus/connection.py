"""How every process of Fairlead connects to NATS: it never gives up, notices dead links, and logs what was denied."""

import logging
from typing import Any, Final
from urllib.parse import urlsplit

import nats
from nats.aio.client import Client

from fairlead_common.bus.cancellation import repair

logger = logging.getLogger(__name__)

CONNECT_OPTIONS: Final[dict[str, Any]] = {
    "allow_reconnect": True,
    "max_reconnect_attempts": -1,  # the default stops after two minutes
    "reconnect_time_wait": 0.5,
    "connect_timeout": 2,
    "ping_interval": 10,  # the default needs four minutes to notice a half-open link
    "max_outstanding_pings": 2,
}


async def log_bus_error(error: Exception) -> None:
    """A denied publish looks like a time-out to its caller; the reason arrives only here."""
    logger.warning("bus error: %s: %s", type(error).__name__, error)


def credentials(url: str) -> tuple[str, str] | None:
    """User and password of the first URL that carries them, to be used for every server of the cluster.

    A server that the cluster itself tells the client of has no user in its address: after a reconnect to such a one
    the client would come as nobody.
    """
    for each in url.split(","):
        parts = urlsplit(each)
        if parts.username and parts.password:
            return parts.username, parts.password
    return None


async def connect(url: str, name: str, **options: Any) -> Client:
    """Connect once; afterwards the client reconnects for ever by itself.

    Args:
        url: ``nats://user:password@host:port``; several are separated by commas.
        name: shown in NATS monitoring.

    Raises:
        OSError, nats.errors.Error: the first connection could not be made.
    """
    repair()
    found = credentials(url)
    login = {"user": found[0], "password": found[1]} if found else {}
    merged = {**CONNECT_OPTIONS, "error_cb": log_bus_error, **login, **options}
    return await nats.connect(url.split(","), name=name, **merged)
