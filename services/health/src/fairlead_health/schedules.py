"""The recurring probe schedules inside JetStream: a message on ``probes.schedule.<provider>`` each, kept as it should be.

Publishing a schedule again replaces it and begins its interval anew, so one that is right is left alone. Its ticks live
until the next one, and for a minute at most: those that nobody was there to execute must not all be executed later, but
one whose worker died is another's.
"""

from collections.abc import Mapping
from typing import Final

from fairlead_common.bus.reading import read_last
from nats.aio.client import Client

PREFIX: Final = "probes.schedule."
DUE: Final = "probes.due."
TICK_LIFE_S: Final = (10, 60)
"""At least and at most."""


class Schedules:
    """What JetStream was told; one process at a time changes it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[str, dict[str, str]] = {}

    @property
    def providers(self) -> tuple[str, ...]:
        """Those that have a schedule."""
        return tuple(self._known)

    async def read(self) -> None:
        """See what is there."""
        found = await read_last(self._client, "PROBES", f"{PREFIX}>")
        self._known = {message.subject.removeprefix(PREFIX): dict(message.headers or {}) for message in found}

    async def keep(self, intervals_s: Mapping[str, int | None]) -> None:
        """Make the schedules be these: provider to interval in seconds, None = none. Others are removed.

        Raises:
            nats.errors.Error, OSError: not acknowledged; keeping them again is safe.
        """
        for provider, interval_s in intervals_s.items():
            if interval_s is not None and not _is(self._known.get(provider), _headers(provider, interval_s)):
                await self._put(provider, interval_s)
        for provider in tuple(self._known):
            if intervals_s.get(provider) is None:
                await self._client.jetstream(timeout=5).purge_stream("PROBES", subject=PREFIX + provider)
                del self._known[provider]

    async def _put(self, provider: str, interval_s: int) -> None:
        headers = _headers(provider, interval_s)
        await self._client.jetstream(timeout=5).publish(PREFIX + provider, b"", headers=dict(headers))
        self._known[provider] = headers


def _headers(provider: str, interval_s: int) -> dict[str, str]:
    return {
        "Nats-Schedule": f"@every {interval_s}s",
        "Nats-Schedule-Target": DUE + provider,
        "Nats-Schedule-TTL": f"{min(max(interval_s, TICK_LIFE_S[0]), TICK_LIFE_S[1])}s",
    }


def _is(known: Mapping[str, str] | None, wanted: Mapping[str, str]) -> bool:
    return known is not None and wanted.items() <= known.items()
