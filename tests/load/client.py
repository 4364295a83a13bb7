"""The load generator: connections that send one request after the other, and note when the answers came."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from urllib.parse import urlsplit

import httptools
import orjson

SENTENCE = "Write one paragraph on how to compare two providers of language models fairly. "
LENGTHS = tuple(range(5, 21))
"""Sentences in a prompt: requests differ in length, so that nothing that is remembered fits all of them."""


class WrongAnswer(Exception):
    """An answer that was not what was asked for; a benchmark of errors measures nothing."""


@dataclass
class Times:
    """What one answer took, in seconds from the moment its request was written."""

    first_token_s: float = 0.0
    total_s: float = 0.0


@dataclass
class Target:
    """Where requests go."""

    name: str
    url: str
    model: str
    key: str
    sent: int = 0
    """Requests so far."""

    def requests(self, *, stream: bool) -> Iterator[bytes]:
        """For ever, requests of 0.7 to 1.9 kB."""
        return cycle([self._request(SENTENCE * length, stream=stream) for length in LENGTHS])

    def _request(self, prompt: str, *, stream: bool) -> bytes:
        body = {"model": self.model, "messages": [{"role": "user", "content": prompt}], "temperature": 0.2}
        payload = orjson.dumps({**body, "stream": True} if stream else body)
        parts = urlsplit(self.url)
        head = (
            f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
            f"authorization: Bearer {self.key}\r\naccept: application/json\r\nuser-agent: bench\r\n"
            f"content-length: {len(payload)}\r\n\r\n"
        )
        return head.encode() + payload


class Line(asyncio.Protocol):
    """One connection."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[Times] | None = None
        self._times = Times()
        self._began = 0.0
        self._seen = b""
        self.tokens = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: connected."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # a client's can write

    def ask(self, request: bytes) -> asyncio.Future[Times]:
        """Send; the future is done when the answer is complete."""
        self._waiter = asyncio.get_running_loop().create_future()
        self._times = Times()
        self._seen = b""
        self._target.sent += 1
        self._began = time.perf_counter()
        self._transport.write(request)
        return self._waiter

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes arrived."""
        self._parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        """httptools: a piece of the body."""
        tokens = data.count(b'"content":" word')
        if tokens and not self._times.first_token_s:
            self._times.first_token_s = time.perf_counter() - self._began
        self.tokens += tokens
        self._seen = data

    def on_message_complete(self) -> None:
        """httptools: the answer is complete."""
        self._times.total_s = time.perf_counter() - self._began
        waiter, self._waiter = self._waiter, None
        if waiter is None or waiter.done():
            return
        if self._parser.get_status_code() == 200:
            waiter.set_result(self._times)
        else:
            waiter.set_exception(WrongAnswer(f"{self._parser.get_status_code()}: {self._seen[:300]!r}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: gone."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(WrongAnswer("the connection closed before the answer was complete"))

    def close(self) -> None:
        """Let go."""
        self._transport.close()


async def connect(target: Target) -> Line:
    """A connection to ``target``."""
    parts = urlsplit(target.url)
    line = Line(target)
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: line, parts.hostname or "", parts.port or 80)
    return line


@dataclass
class Load:
    """What a period of load showed."""

    seconds: float
    answers: int = 0
    tokens: int = 0
    first_token_s: list[float] = field(default_factory=list)
    total_s: list[float] = field(default_factory=list)


async def sustained(target: Target, connections: int, seconds: float, *, stream: bool = False) -> Load:
    """Every connection asks again as soon as it was answered, for ``seconds``. Raises WrongAnswer."""
    requests = target.requests(stream=stream)
    lines = [await connect(target) for _ in range(connections)]
    for line in lines:  # warm up: connections of the other side, caches
        await line.ask(next(requests))
        line.tokens = 0
    began = time.perf_counter()
    until = began + seconds
    found = Load(seconds)

    async def work(line: Line) -> None:
        while time.perf_counter() < until:
            times = await line.ask(next(requests))
            found.total_s.append(times.total_s)
            found.first_token_s.append(times.first_token_s)

    await asyncio.gather(*(work(line) for line in lines))
    found.seconds = time.perf_counter() - began
    found.answers = len(found.total_s)
    for line in lines:
        found.tokens += line.tokens
        line.close()
    return found


async def alternating(targets: list[Target], count: int, *, stream: bool = False) -> dict[str, list[Times]]:
    """``count`` requests to each target, one at a time in turns, so that a noisy moment meets all of them alike."""
    lines = [(target.name, await connect(target), target.requests(stream=stream)) for target in targets]
    found: dict[str, list[Times]] = {target.name: [] for target in targets}
    for _, line, requests in lines:
        for _ in range(20):
            await line.ask(next(requests))
    for _ in range(count):
        for name, line, requests in lines:
            found[name].append(await line.ask(next(requests)))
    for _, line, _ in lines:
        line.close()
    return found
