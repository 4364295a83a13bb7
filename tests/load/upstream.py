"""``python -m tests.load.upstream PORT``: a provider that answers at once, as lean as Python allows; not a simulator.

It speaks the OpenAI chat format: one answer of about 1 kB, or a stream of ``TOKENS`` chunks, each written on its own.
"""

import asyncio
import sys

import httptools
import orjson
import uvloop

TOKENS = 50
TEXT = "A careful comparison keeps the prompts equal and the order random. " * 12
USAGE = {"prompt_tokens": 240, "completion_tokens": TOKENS, "total_tokens": 240 + TOKENS}


def _whole() -> bytes:
    message = {"role": "assistant", "content": TEXT, "refusal": None}
    body = orjson.dumps(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": 1764000000,
            "model": "gpt-5.4-mini",
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": USAGE,
        }
    )
    head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_bench\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def _event(delta: dict[str, str], finish: str | None = None) -> bytes:
    return _frame(
        orjson.dumps(
            {
                "id": "chatcmpl-bench",
                "object": "chat.completion.chunk",
                "created": 1764000000,
                "model": "gpt-5.4-mini",
                "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
            }
        )
    )


def _frame(data: bytes) -> bytes:
    event = b"data: " + data + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)


WHOLE = _whole()
STREAM = [
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    + _event({"role": "assistant", "content": ""}),
    *(_event({"content": f" word{number}"}) for number in range(TOKENS)),
    _event({}, "stop")
    + _frame(orjson.dumps({"id": "chatcmpl-bench", "choices": [], "usage": USAGE}))
    + _frame(b"[DONE]")
    + b"0\r\n\r\n",
]


class Upstream(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._streams = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: connected."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # a server's can write

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes arrived."""
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        """httptools: a request begins."""
        self._streams = False

    def on_body(self, data: bytes) -> None:
        """httptools: a piece of the body."""
        self._streams = self._streams or b'"stream":true' in data

    def on_message_complete(self) -> None:
        """httptools: the request is complete."""
        if self._streams:
            self._next(0)
        else:
            self._transport.write(WHOLE)

    def _next(self, position: int) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(STREAM[position])
        if position + 1 < len(STREAM):
            self._loop.call_soon(self._next, position + 1)


async def main(port: int) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
