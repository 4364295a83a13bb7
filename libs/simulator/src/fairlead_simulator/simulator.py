"""One simulated provider: its data port with answers and faults, and its control port.

Faults are looked at in this order: refuse (the port), down, auth, error_500, rate_limited, quota_exhausted, overloaded,
unavailable, malformed, wrong_content_type; then the slow ones; then those inside a stream.
"""

import asyncio
import json
import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from fairlead_simulator.answers import Answer, Ask, answer
from fairlead_simulator.faults import KINDS, FaultError, Faults, canonical
from fairlead_simulator.latency import Latency, LatencyError
from fairlead_simulator.server import Gone, Listener, Reply, Request
from fairlead_simulator.vendors.anthropic import Anthropic
from fairlead_simulator.vendors.cohere import Cohere
from fairlead_simulator.vendors.google import Google
from fairlead_simulator.vendors.mistral import Mistral
from fairlead_simulator.vendors.openai import OpenAI
from fairlead_simulator.vendors.vendor import JSON, SSE, BadRequest, Failure, NotFound, Vendor, dumps

VENDORS: dict[str, type[Any]] = {
    "openai": OpenAI,
    "anthropic": Anthropic,
    "google": Google,
    "mistral": Mistral,
    "cohere": Cohere,
}
ANSWERED = ("auth", "error_500", "rate_limited", "quota_exhausted", "overloaded")
MESSAGES = {
    "auth": "Incorrect API key provided.",
    "error_500": "The server had an error while processing your request.",
    "rate_limited": "Rate limit reached. Please try again later.",
    "quota_exhausted": "You exceeded your current quota, please check your plan and billing details.",
    "overloaded": "The service is overloaded.",
    "not_found": "Not found.",
}
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


@dataclass
class Simulator:
    """State and behaviour of one simulated provider."""

    vendor: Vendor
    seed: int = 1
    latency: Latency = field(default_factory=Latency)
    faults: Faults = field(default_factory=Faults)
    log: deque[Seen] = field(default_factory=lambda: deque(maxlen=KEPT_REQUESTS))
    total: int = 0
    data_port: Listener | None = None
    _reopen: asyncio.TimerHandle | None = None

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - latencies, not secrets

    @property
    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def handle(self, request: Request, reply: Reply) -> None:
        """Serve one request on the data port."""
        if request.path in ("/livez", "/readyz"):
            reply.send(200, JSON, b'{"status":"ok"}')
            return
        self.total += 1
        seen = Seen(self.total, request.path, None, self._now)
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
        try:
            if self.vendor.key(request) is None:
                self._fail(reply, self.vendor.failure("auth", MESSAGES["auth"], None))
                return
            ask = self.vendor.read(request)
        except BadRequest as error:
            self._fail(reply, self.vendor.failure("bad_request", str(error), None))
            return
        except NotFound:
            self._fail(reply, self.vendor.failure("not_found", MESSAGES["not_found"], None))
            return
        seen.model = ask.model if ask else None
        if self._refused(ask, reply, seen):
            return
        if ask is None:
            reply.send(200, JSON, self.vendor.listing())
            return
        await self._answer(ask, reply, seen)

    def _active(self, kind: str, model: str | None) -> Any:
        return self.faults.active(kind, self._now, model, self._random)

    def _refused(self, ask: Ask | None, reply: Reply, seen: Seen) -> bool:
        model = ask.model if ask else None
        if self._active("down", model):
            seen.outcome = "fault: down"
            reply.cut()
            return True
        for kind in ANSWERED:
            if fault := self._active(kind, model):
                seen.outcome = f"fault: {kind}"
                self._fail(reply, self.vendor.failure(kind, MESSAGES[kind], fault.retry_after_s))
                return True
        page = b"<html><body><h1>Something went wrong</h1></body></html>"
        odd = {
            "unavailable": (503, {"content-type": "text/plain"}, b"upstream connect error"),
            "malformed": (200, JSON, b'{"id": "broken", "choices": [{"mess'),
            "wrong_content_type": (200, {"content-type": "text/html"}, page),
        }
        for kind, (status, headers, body) in odd.items():
            if self._active(kind, model):
                seen.outcome = f"fault: {kind}"
                reply.send(status, headers, body)
                return True
        return False

    @staticmethod
    def _fail(reply: Reply, failure: Failure) -> None:
        reply.send(failure.status, failure.headers, failure.body)

    async def _answer(self, ask: Ask, reply: Reply, seen: Seen) -> None:
        made = answer(ask, self.seed, self.vendor.name)
        brownout = self._active("brownout", ask.model)
        factor = brownout.factor if brownout else 1.0
        slow = self._active("slow_first_token", ask.model)
        extra = slow.delay_s if slow else 0.0
        if ask.stream:
            await self._stream(ask, made, reply, seen, factor, extra)
        else:
            await self._whole(ask, made, reply, seen, factor, extra)

    async def _whole(
        self, ask: Ask, made: Answer, reply: Reply, seen: Seen, factor: float, extra: float
    ) -> None:
        await self._pause(self.latency.whole.draw(self._random) * factor + extra)
        if self._active("stall", ask.model):
            seen.outcome = "fault: stall"
            await asyncio.get_running_loop().create_future()
        body = self.vendor.whole(ask, made)
        headers = {**JSON, **self.vendor.headers(made.id)}
        broken = next(
            (kind for kind in ("cut", "truncate", "stream_error") if self._active(kind, ask.model)), None
        )
        if broken is None:
            reply.send(200, headers, body)
            return
        seen.outcome = f"fault: {broken}"
        if broken == "stream_error":
            self._fail(reply, self.vendor.failure("error_500", MESSAGES["error_500"], None))
            return
        reply.send(200, headers, body[: len(body) // 2], claim=len(body))
        await asyncio.sleep(0.01)  # let the half leave before the connection goes
        reply.cut()

    async def _stream(
        self, ask: Ask, made: Answer, reply: Reply, seen: Seen, factor: float, extra: float
    ) -> None:
        frames = self.vendor.frames(ask, made)
        await self._pause(self.latency.first_token.draw(self._random) * factor + extra)
        reply.start(200, {**SSE, **self.vendor.headers(made.id)})
        for frame in frames.begin:
            reply.chunk(frame)
        for position, frame in enumerate(frames.tokens):
            if await self._broken(ask, reply, seen, position, last=len(frames.tokens) - 1):
                return
            if position:
                await self._pause(self.latency.between_tokens.draw(self._random) * factor)
            reply.chunk(frame)
        for frame in frames.end:
            reply.chunk(frame)
        reply.end()

    async def _broken(self, ask: Ask, reply: Reply, seen: Seen, position: int, *, last: int) -> bool:
        for kind in ("stall", "cut", "truncate", "stream_error"):
            fault = self._active(kind, ask.model)
            if fault is None or position < min(fault.after_chunks, last):
                continue
            seen.outcome = f"fault: {kind}"
            if kind == "stall":
                await asyncio.get_running_loop().create_future()
            if kind == "cut":
                await asyncio.sleep(0.01)  # let what was written leave before the connection goes
                reply.cut()
            elif kind == "truncate":
                reply.end()
            else:
                reply.chunk(self.vendor.stream_error())
                reply.end()
            return True
        return False

    @staticmethod
    async def _pause(seconds: float) -> None:
        if seconds > 0:
            await asyncio.sleep(seconds)

    # control

    async def control(self, request: Request, reply: Reply) -> None:
        """Serve one request on the control port."""
        try:
            body = json.loads(request.body) if request.body else {}
            found = await self._control(request.method, request.path.strip("/").split("/"), body)
        except (FaultError, LatencyError) as error:
            reply.send(422, JSON, dumps({"error": str(error)}))
            return
        except ValueError as error:
            reply.send(400, JSON, dumps({"error": f"the body is not JSON: {error}"}))
            return
        if found is None:
            paths = "/_sim/state, /_sim/latency, /_sim/faults/{kind}, /_sim/requests, /_sim/reset"
            reply.send(404, JSON, dumps({"error": f"no such control; there are {paths}"}))
        else:
            reply.send(200, JSON, dumps(found))

    async def _control(self, method: str, parts: list[str], body: dict[str, Any]) -> dict[str, Any] | None:
        match (method, *parts):
            case ("GET", "livez") | ("GET", "readyz"):
                return {"status": "ok"}
            case ("GET", "_sim", "state"):
                return self.state()
            case ("GET", "_sim", "requests"):
                return {"total": self.total, "requests": [vars(seen) for seen in self.log]}
            case ("PUT", "_sim", "latency"):
                self.latency.change(body)
            case ("PUT", "_sim", "faults", kind):
                await self._switch_on(kind, body)
            case ("DELETE", "_sim", "faults", kind):
                self.faults.clear(kind)
                await self._open_port()
            case ("DELETE", "_sim", "faults"):
                self.faults.clear()
                await self._open_port()
            case ("POST", "_sim", "reset"):
                self.faults.clear()
                self.latency = Latency()
                self.log.clear()
                self.total = 0
                await self._open_port()
            case _:
                return None
        return self.state()

    def state(self) -> dict[str, Any]:
        """What is set and what is on."""
        return {
            "vendor": self.vendor.name,
            "models": list(self.vendor.models),
            "latency": {name: vars(each) for name, each in vars(self.latency).items()},
            "faults": self.faults.listed(self._now),
            "known_faults": KINDS,
            "requests": self.total,
        }

    async def _switch_on(self, kind: str, options: dict[str, Any]) -> None:
        fault = self.faults.switch_on(kind, options, self._now)
        if canonical(kind) == "refuse" and self.data_port is not None:
            self.data_port.close()
            if fault.until is not None:
                loop = asyncio.get_running_loop()
                self._reopen = loop.call_at(fault.until, lambda: loop.create_task(self._open_port()))
        elif canonical(kind) == "down" and self.data_port is not None:
            for connection in tuple(self.data_port.connections):
                connection.abort()

    async def _open_port(self) -> None:
        if self.data_port is not None and self.faults.active("refuse", self._now) is None:
            await self.data_port.open()
