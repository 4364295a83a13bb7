"""How an answer reaches the client: its waits, and the ways in which it can go wrong on the way."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fairlead_simulator import mangle
from fairlead_simulator.faults import Fault
from fairlead_simulator.latency import Latency
from fairlead_simulator.server import Reply

Active = Callable[[str], Fault | None]
MANGLES: dict[str, Callable[[bytes], bytes]] = {
    "wrong_types": lambda data: mangle.changed(data, mangle.wrong_types),
    "hollow": lambda data: mangle.changed(data, mangle.hollow),
    "invalid_utf8": mangle.not_utf8,
}
MALFORMED = b'{"id": "broken", "choices": [{"mess'
PAGE = b"<html><body><h1>Something went wrong</h1></body></html>"
ERROR_IN_200 = (
    b'{"error":{"code":502,"message":"Provider returned error","metadata":{"provider_name":"simulated"}}}'
)
MEGABYTE = 1_000_000
NONSENSE = (
    "unavailable",
    "bad_gateway",
    "malformed",
    "error_in_200",
    "wrong_content_type",
    "garbage",
    "oversized",
    "empty",
)
"""Kinds that no vendor would send: what proxies, aggregators and broken servers answer."""


async def never() -> None:
    """Wait until cancelled: the client leaves, or the process ends."""
    await asyncio.get_running_loop().create_future()


@dataclass
class Delivery:
    """One answer under way. ``active`` says which faults are on for its model; ``note`` keeps the one that struck."""

    reply: Reply
    active: Active
    note: Callable[[str], None]
    latency: Latency
    random: random.Random

    @property
    def _factor(self) -> float:
        fault = self.active("brownout")
        return fault.factor if fault else 1.0

    @property
    def _extra_s(self) -> float:
        fault = self.active("slow_first_token")
        return fault.delay_s if fault else 0.0

    @staticmethod
    async def _pause(seconds: float) -> None:
        if seconds > 0:
            await asyncio.sleep(seconds)

    # an answer in one piece

    async def whole(self, headers: dict[str, str], body: bytes) -> bool:
        """Send ``body``; False when the answer is to be a server error instead."""
        await self._pause(self.latency.whole.draw(self.random) * self._factor + self._extra_s)
        if self.active("stall"):
            self.note("stall")
            await never()
        if self.active("stream_error"):
            self.note("stream_error")
            return False
        for kind in ("cut", "truncate"):
            if self.active(kind):
                self.note(kind)
                self.reply.send(200, headers, body[: len(body) // 2], claim=len(body))
                await asyncio.sleep(0.01)  # let the half leave before the connection goes
                self.reply.cut()
                return True
        await self._good(headers, self._spoilt(body))
        return True

    def _spoilt(self, body: bytes) -> bytes:
        for kind, spoil in MANGLES.items():
            if self.active(kind):
                self.note(kind)
                return spoil(body)
        if self.active("drift"):
            self.note("drift")
            return mangle.changed(body, mangle.with_unknown_fields)
        return body

    async def _good(self, headers: dict[str, str], body: bytes) -> None:
        if self.active("comments"):
            self.note("comments")
            body = b"\n\n" + body
        drip = self.active("slow_drip")
        if drip is None:
            self.reply.send(200, headers, body)
            return
        self.note("slow_drip")
        self.reply.announce(200, headers, len(body))
        await self._drip(drip, body, self.reply.raw)

    async def _drip(self, drip: Fault, data: bytes, send: Callable[[bytes], None]) -> None:
        size = max(1, int(drip.chunk_bytes))
        for start in range(0, len(data), size):
            send(data[start : start + size])
            await self._pause(drip.interval_s)

    # an answer in events

    async def stream(
        self,
        headers: dict[str, str],
        begin: list[bytes],
        tokens: list[bytes],
        end: list[bytes],
        error: bytes,
        strange: bytes,
    ) -> None:
        """Send the events; ``error`` is the vendor's error event, ``strange`` one of a type that nobody knows."""
        await self._pause(self.latency.first_token.draw(self.random) * self._factor + self._extra_s)
        self.reply.start(200, headers)
        drift = self.active("drift") is not None
        if drift:
            self.note("drift")
            begin = [*begin, strange] if strange else begin
        send = self._sender(drift=drift)
        for frame in begin:
            await send(frame)
        for position, frame in enumerate(tokens):
            if await self._broken(position, len(tokens) - 1, error):
                return
            if position:
                await self._pause(self.latency.between_tokens.draw(self.random) * self._factor)
            await send(self._spoilt_frame(frame, position, len(tokens) - 1))
        for frame in end:
            await send(frame)
        self.reply.end()

    def _sender(self, *, drift: bool) -> Callable[[bytes], Awaitable[None]]:
        drip = self.active("slow_drip")
        comments = self.active("comments") is not None

        async def send(frame: bytes) -> None:
            if comments:
                self.note("comments")
                frame = b": keep-alive\n\n" + frame
            if drift:
                frame = mangle.changed(frame, mangle.with_unknown_fields)
            if drip is None:
                self.reply.chunk(frame)
            else:
                self.note("slow_drip")
                await self._drip(drip, frame, self.reply.chunk)

        return send

    def _spoilt_frame(self, frame: bytes, position: int, last: int) -> bytes:
        for kind, spoil in MANGLES.items():
            fault = self.active(kind)
            if fault is not None and position == min(fault.after_chunks, last):
                self.note(kind)
                return spoil(frame)
        return frame

    async def _broken(self, position: int, last: int, error: bytes) -> bool:
        for kind in ("stall", "cut", "truncate", "stream_error"):
            fault = self.active(kind)
            if fault is None or position < min(fault.after_chunks, last):
                continue
            self.note(kind)
            if kind == "stall":
                await never()
            if kind == "cut":
                await asyncio.sleep(0.01)  # let what was written leave before the connection goes
                self.reply.cut()
            else:
                if kind == "stream_error":
                    self.reply.chunk(error)
                self.reply.end()
            return True
        return False

    # no answer at all

    def nonsense(self, media: dict[str, str], *, stream: bool) -> bool:
        """Send what is not the vendor's doing, when such a fault is on; True = sent."""
        for kind in NONSENSE:
            if fault := self.active(kind):
                self.note(kind)
                self.reply.send(*self._nonsense(fault, media, stream=stream))
                return True
        return False

    def _nonsense(
        self, fault: Fault, media: dict[str, str], *, stream: bool
    ) -> tuple[int, dict[str, str], bytes]:
        match fault.kind:
            case "unavailable":
                return 503, {"content-type": "text/plain"}, b"upstream connect error"
            case "bad_gateway":
                return 502, {"content-type": "text/html"}, PAGE
            case "malformed":
                return 200, {"content-type": "application/json"}, MALFORMED
            case "error_in_200":
                return 200, {"content-type": "application/json"}, ERROR_IN_200
            case "wrong_content_type":
                return 200, {"content-type": "text/html"}, PAGE
            case "garbage":
                return 200, media, self.random.randbytes(2000)
            case "oversized":
                body = b'{"x_simulated_filling":"' + b"x" * int(fault.size_mb * MEGABYTE) + b'"}'
                return 200, media, b"data: " + body + b"\n\n" if stream else body
            case _:
                return 200, media, b""
