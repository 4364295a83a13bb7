"""How every process of Fairlead connects to NATS: it never gives up, notices dead links, and logs what was denied."""

import logging
from typing import Any, Final

import nats
from nats.aio.client import Client

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


async def connect(url: str, name: str, **options: Any) -> Client:
    """Connect once; afterwards the client reconnects for ever by itself.

    Args:
        url: ``nats://user:password@host:port``; several are separated by commas.
        name: shown in NATS monitoring.

    Raises:
        OSError, nats.errors.Error: the first connection could not be made.
    """
    merged = {**CONNECT_OPTIONS, "error_cb": log_bus_error, **options}
    return await nats.connect(url.split(","), name=name, **merged)
