"""One simulated provider: what its data port does with a request.

A request is read first; what the vendor would refuse is refused. Then the faults are looked at, in this order: down,
those that are an error answer (``faults.ANSWERED``), what proxies send (``delivery.NONSENSE``); then the slow ones; then
those inside an answer. ``refuse`` works on the port itself (``fairlead_simulator.control``).
"""

import asyncio
import hashlib
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fairlead_simulator.answers import Speaker, answer
from fairlead_simulator.checks import Flaw
from fairlead_simulator.delivery import Delivery
from fairlead_simulator.faults import ANSWERED, Fault, Faults
from fairlead_simulator.latency import Latency
from fairlead_simulator.limits import Window, exhausted
from fairlead_simulator.server import Gone, Listener, Reply, Request
from fairlead_simulator.usage import PromptCache
from fairlead_simulator.vendors.anthropic.api import Anthropic
from fairlead_simulator.vendors.cohere.api import Cohere
from fairlead_simulator.vendors.compatible import Compatible
from fairlead_simulator.vendors.google.api import Google
from fairlead_simulator.vendors.mistral.api import Mistral
from fairlead_simulator.vendors.openai.api import OpenAI
from fairlead_simulator.vendors.vendor import JSON, Chat, Plain, Refused, Vendor, dumps

VENDORS: dict[str, type[Any]] = {
    "openai": OpenAI,
    "anthropic": Anthropic,
    "google": Google,
    "mistral": Mistral,
    "cohere": Cohere,
}
"""The providers that Fairlead knows by name."""
SPEAKERS = {**VENDORS, "compatible": Compatible}
"""Whom a simulator can be."""
LIMITED = ("rate_limited", "slow_down", "spend_limit", "capacity")
KEPT_REQUESTS = 500


@dataclass
class Seen:
    """One line of the request log."""

    number: int
    path: str
    model: str | None
    at: float
    outcome: str = "open"
    status: int = 0

    def note(self, kind: str) -> None:
        """A fault struck."""
        self.outcome = f"fault: {kind}"


@dataclass
class Simulator:
    """State and behaviour of one simulated provider."""

    vendor: Vendor
    seed: int = 1
    latency: Latency = field(default_factory=Latency)
    faults: Faults = field(default_factory=Faults)
    log: deque[Seen] = field(default_factory=lambda: deque(maxlen=KEPT_REQUESTS))
    total: int = 0
    cache: PromptCache = field(default_factory=PromptCache)
    window: Window = field(default_factory=Window)
    data_port: Listener | None = None

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - latencies, not secrets

    @property
    def now(self) -> float:
        """Seconds on the event loop's clock."""
        return asyncio.get_running_loop().time()

    def forget(self) -> None:
        """Back to the beginning: no faults, default latencies, empty log and prompt cache."""
        self.faults.clear()
        self.cache.clear()
        self.latency = Latency()
        self.window = Window()
        self.log.clear()
        self.total = 0

    async def handle(self, request: Request, reply: Reply) -> None:
        """Serve one request on the data port."""
        if request.path in ("/livez", "/readyz"):
            reply.send(200, JSON, b'{"status":"ok"}')
            return
        self.total += 1
        seen = Seen(self.total, request.path, None, self.now)
        self.log.append(seen)
        try:
            await self._handle(request, reply, seen)
            if seen.outcome == "open":
                seen.outcome = "answered"
        except (Gone, asyncio.CancelledError):
            seen.outcome = "client left"
            raise
        finally:
            seen.status = reply.status

    async def _handle(self, request: Request, reply: Reply, seen: Seen) -> None:
        self.window.use(self.now)
        call = _Call(self, request, reply, seen)
        try:
            job = self.vendor.read(request)
        except Flaw as flaw:
            call.refuse(self.vendor.flawed(flaw))
        except Refused as refused:
            call.refuse(refused)
        else:
            await call.serve(job)


class _Call:
    """One request that is being served."""

    def __init__(self, simulator: Simulator, request: Request, reply: Reply, seen: Seen) -> None:
        self._simulator = simulator
        self._vendor = simulator.vendor
        self._request = request
        self._reply = reply
        self._seen = seen
        self._draws: dict[str, float] = {}
        self._id = hashlib.blake2b(f"{simulator.seed}|{seen.number}".encode(), digest_size=12).hexdigest()
        self._delivery = Delivery(reply, self._active, seen.note, simulator.latency, simulator._random)

    def _active(self, kind: str) -> Fault | None:
        """The fault of this kind; whether its probability strikes is drawn once a request."""
        draw: Callable[[], float] = lambda: self._draws.setdefault(kind, self._simulator._random.random())  # noqa: E731
        return self._simulator.faults.active(kind, self._simulator.now, self._seen.model, draw)

    async def serve(self, job: Chat | Plain) -> None:
        """Answer, or fail as the faults say."""
        stream = isinstance(job, Chat) and job.ask.stream
        self._seen.model = job.ask.model if isinstance(job, Chat) else job.model
        media = job.writer.media if isinstance(job, Chat) and stream else JSON
        if self._failed() or self._delivery.nonsense(media, stream=stream):
            return
        if isinstance(job, Chat):
            await self._chat(job)
        elif job.works:
            self._simulator.window.use(self._simulator.now, job.input_tokens, requests=0)
            await self._whole(dumps(job.body))
        else:
            self._reply.send(200, self._headers(), dumps(job.body))

    def _failed(self) -> bool:
        if self._active("down"):
            self._seen.note("down")
            self._reply.cut()
            return True
        for kind in ANSWERED:
            if fault := self._active(kind):
                self._seen.note(kind)
                self.refuse(self._vendor.fault(kind, fault.retry_after_s), limited=kind in LIMITED)
                return True
        return False

    async def _chat(self, job: Chat) -> None:
        simulator = self._simulator
        speaker = Speaker(simulator.seed, self._vendor.name, self._id, int(time.time()))
        made = answer(job.ask, speaker, simulator.cache.charge(job.ask))
        simulator.window.use(simulator.now, made.usage.input, made.usage.output, requests=0)
        if not job.ask.stream:
            await self._whole(job.writer.whole(job.ask, made))
            return
        frames = job.writer.frames(job.ask, made)
        headers = {**job.writer.media, **self._vendor_headers()}
        ends = (job.writer.error_frame(), job.writer.strange_frame())
        await self._delivery.stream(headers, frames.begin, frames.tokens, frames.end, *ends)

    async def _whole(self, body: bytes) -> None:
        if not await self._delivery.whole(self._headers(), body):
            self.refuse(self._vendor.fault("error_500", None))

    def refuse(self, refused: Refused, *, limited: bool = False) -> None:
        """Send an error in the vendor's form."""
        failure = self._vendor.failure(refused, self._request, self._id)
        headers = {**JSON, **self._vendor_headers(refused.retry_after_s or 1.0 if limited else None)}
        self._reply.send(failure.status, {**headers, **failure.headers}, failure.body)

    def _headers(self) -> dict[str, str]:
        return {**JSON, **self._vendor_headers()}

    def _vendor_headers(self, exhausted_s: float | None = None) -> dict[str, str]:
        left = (
            self._simulator.window.left(self._simulator.now)
            if exhausted_s is None
            else exhausted(exhausted_s)
        )
        return self._vendor.headers(self._id, left)
