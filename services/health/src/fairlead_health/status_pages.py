"""Reading the status pages of vendors that have one. Off the request path, by one replica, bounded in time and size.

A page that cannot be read says nothing: what it said before counts until it is too old.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from fairlead_models.client import USER_AGENT
from fairlead_models.transport.protocol import HttpRequest, Timeouts, Transport, TransportError

from fairlead_health.domain.status_page import Page, UnreadablePage, page_of

logger = logging.getLogger(__name__)

TIMEOUTS: Final = Timeouts(connect_s=3, first_byte_s=5, between_bytes_s=5, total_s=10)
HEADERS: Final = {"accept": "application/json", "accept-encoding": "identity", "user-agent": USER_AGENT}
MAX_BYTES: Final = 1024 * 1024
FIRST_WAIT_S: Final = 2.0
"""At most this long a new reader waits for its first pages."""


class StatusPages:
    """Reads ``urls`` (by provider) every ``interval_s``, and gives each page to ``on_page``."""

    def __init__(
        self,
        transport: Transport,
        urls: Mapping[str, str],
        interval_s: float,
        on_page: Callable[[str, Page], None],
    ) -> None:
        self._transport = transport
        self._urls = urls
        self._interval_s = interval_s
        self._on_page = on_page

    async def read_first(self) -> None:
        """Read all that come soon: who takes over must not forget what they say."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_WAIT_S):
                await self._read_all()

    async def follow(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(self._interval_s)
            await self._read_all()

    async def _read_all(self) -> None:
        async with asyncio.TaskGroup() as group:
            for provider, url in self._urls.items():
                group.create_task(self._read(provider, url))

    async def _read(self, provider: str, url: str) -> None:
        try:
            page = page_of(json.loads(await self._fetch(url)), time.time())
        except (TransportError, ValueError) as error:
            logger.warning("the status page of %s cannot be read: %s", provider, error)
            return
        self._on_page(provider, page)

    async def _fetch(self, url: str) -> bytes:
        answer = await self._transport.send(HttpRequest("GET", url, HEADERS), TIMEOUTS)
        try:
            if answer.status != 200:
                raise UnreadablePage(
                    f"expected status 200, found {answer.status}; check the provider's status_page"
                )
            return await answer.body(MAX_BYTES)
        finally:
            answer.close()
