"""The callers: an open loop of requests at a fixed rate, half of them streams, spread over the edges.

They do as a load balancer and the vendors' SDKs do: an edge that refuses the connection is passed over, and a request
whose connection breaks before its caller has seen anything of an answer is sent again, to the next edge.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Sequence
from urllib.parse import urlsplit

import httptools
import orjson

from fairlead.drills.requests import Asked, Ending, ending_of

TIMEOUT_S = 60.0
RESENDS = 2
"""The default of the official SDKs."""
MAX_TOKENS = 24
PROMPT = "Say in one sentence how ships stay moored when the wind turns."
TOKEN = b'"content":"'
DETAIL = 300


class Line(asyncio.Protocol):
    """One connection to an edge: one request after the other."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._asked: Asked | None = None
        self._done: asyncio.Future[None] | None = None
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._transport: asyncio.Transport | None = None
        self.open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: connected."""
        self._transport = transport  # type: ignore[assignment]  # a client's can write

    def ask(self, request: bytes, asked: Asked) -> asyncio.Future[None]:
        """Send; the future is done when ``asked`` says how it ended."""
        self._asked, self._headers, self._body = asked, {}, bytearray()
        self._done = asyncio.get_running_loop().create_future()
        if self._transport is not None:
            self._transport.write(request)
        return self._done

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes arrived."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: one header."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """httptools: the head is complete."""
        if self._asked is not None:
            self._asked.status, self._asked.headers = self._parser.get_status_code(), self._headers

    def on_body(self, data: bytes) -> None:
        """httptools: a piece of the body."""
        self._body += data
        if self._asked is not None and self._asked.first_token is None and TOKEN in data:
            self._asked.first_token = time.time()

    def on_message_complete(self) -> None:
        """httptools: the answer is complete."""
        if self._asked is not None:
            self.open = self.open and self._parser.should_keep_alive()
            self._end(ending_of(self._asked.stream, self._asked.status, bytes(self._body)))

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: gone."""
        self.open = False
        self._end(Ending.LOST)

    def late(self) -> None:
        """Nothing came for too long."""
        self._end(Ending.LATE)
        self.close()

    def close(self) -> None:
        """Let go."""
        self.open = False
        if self._transport is not None:
            self._transport.abort()

    def _end(self, ending: Ending) -> None:
        asked, done = self._asked, self._done
        self._asked = self._done = None
        if asked is None or done is None or done.done():
            return
        asked.ended, asked.ending = time.time(), ending
        if ending is not Ending.ANSWERED:
            asked.detail = bytes(self._body[-DETAIL:]).decode("utf-8", "replace")
        done.set_result(None)


class Callers:
    """Sends requests for ``model`` to the edges in turn, and keeps what became of each.

    Args:
        edges: URLs.
        rate: requests per second.
    """

    def __init__(self, edges: Sequence[str], key: str, model: str, rate: float) -> None:
        self._edges = [(parts.hostname or "", parts.port or 80) for parts in map(urlsplit, edges)]
        self._requests = {stream: self._request(key, model, stream=stream) for stream in (False, True)}
        self._rate = rate
        self._idle: list[deque[Line]] = [deque() for _ in edges]
        self._lines: set[Line] = set()
        self.asked: list[Asked] = []

    @staticmethod
    def _request(key: str, model: str, *, stream: bool) -> bytes:
        body = {"model": model, "messages": [{"role": "user", "content": PROMPT}], "max_tokens": MAX_TOKENS}
        payload = orjson.dumps({**body, "stream": stream})
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nhost: fairlead\r\ncontent-type: application/json\r\n"
            f"authorization: Bearer {key}\r\nuser-agent: fairlead-drill\r\ncontent-length: {len(payload)}\r\n\r\n"
        )
        return head.encode() + payload

    async def run(self, stop: asyncio.Event) -> None:
        """A request is due when it is due, whatever became of those before it; until ``stop``, and all are answered."""
        began = time.time()
        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                due = began + len(self.asked) / self._rate
                if (pause_s := due - time.time()) > 0:
                    await asyncio.sleep(pause_s)
                    continue
                group.create_task(self.ask(self._next(due)))

    def _next(self, due: float) -> Asked:
        number, edges = len(self.asked), len(self._edges)
        asked = Asked(number, number % edges, stream=number // edges % 2 == 1, due=due)
        self.asked.append(asked)
        return asked

    async def ask(self, asked: Asked) -> None:
        """Send one request to its edge, or to the next one that takes the connection; if need be, again."""
        await self._send(asked)
        while asked.may_go_again and len(asked.cuts) < RESENDS:
            asked.again(self._after(asked.edge))
            await self._send(asked)

    async def _send(self, asked: Asked) -> None:
        for _ in self._edges:
            try:
                line = await self._line(asked.edge)
            except OSError:
                asked.refused += 1
                asked.edge = self._after(asked.edge)
                continue
            await self._exchange(line, asked)
            return
        asked.ended = time.time()

    def _after(self, edge: int) -> int:
        return (edge + 1) % len(self._edges)

    async def _line(self, edge: int) -> Line:
        idle = self._idle[edge]
        while idle:
            if (line := idle.pop()).open:
                return line
            self._lines.discard(line)
        _, line = await asyncio.get_running_loop().create_connection(Line, *self._edges[edge])
        self._lines.add(line)
        return line

    async def _exchange(self, line: Line, asked: Asked) -> None:
        done = line.ask(self._requests[asked.stream], asked)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TIMEOUT_S):
                await asyncio.shield(done)
        if not done.done():
            line.late()
        if line.open:
            self._idle[asked.edge].append(line)
        else:
            self._lines.discard(line)

    def close(self) -> None:
        """Close all connections."""
        for line in self._lines:
            line.close()
