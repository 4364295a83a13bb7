"""What a call costs in processor time on HTTP/2 (h2) and HTTP/1.1 (httptools): the protocol's work alone, without sockets.

``uv run --with h2 python -m tests.load.http2``: h2 is no dependency of the project. The answer's bytes are made beforehand
by the same library's server side, so only what a client does is counted: write the request's head and body, read the
answer's head and pieces, and on HTTP/2 give back the window.
"""

import importlib
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import httptools

ROUNDS, CALLS = 7, 2000
PIECE = b'data: {"choices":[{"index":0,"delta":{"content":"moored"},"finish_reason":null}]}\n\n'
HEADERS = {
    "content-type": "application/json",
    "accept": "application/json",
    "accept-encoding": "identity",
    "user-agent": "fairlead/0.1",
    "authorization": "Bearer sk-0123456789abcdef0123456789abcdef",
}
ANSWER = {
    "content-type": "application/json",
    "date": "Wed, 25 Nov 2026 18:00:00 GMT",
    "x-request-id": "req_0123456789abcdef",
    "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-remaining-tokens": "149999",
    "server": "cloudflare",
}
BODY = b"x" * 1000


class Http1:
    """As the transport does it: one write, one parser for the connection."""

    def __init__(self, pieces: int) -> None:
        lines = "".join(f"{name}: {value}\r\n" for name, value in ANSWER.items())
        self._head = f"HTTP/1.1 200 OK\r\n{lines}transfer-encoding: chunked\r\n\r\n".encode()
        self._pieces = [b"%x\r\n%s\r\n" % (len(PIECE), PIECE)] * pieces
        self._parser = httptools.HttpResponseParser(self)
        self.read = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""

    def on_body(self, body: bytes) -> None:
        """A piece."""
        self.read += len(body)

    def call(self) -> None:
        """One call."""
        lines = ["POST /v1/chat/completions HTTP/1.1", "host: api.example.com"]
        lines += [f"{name}: {value}" for name, value in HEADERS.items()]
        lines.append(f"content-length: {len(BODY)}")
        "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + BODY
        self._parser.feed_data(self._head)
        for piece in self._pieces:
            self._parser.feed_data(piece)
        self._parser.feed_data(b"0\r\n\r\n")


class Http2:
    """One connection, one stream after the other; the server's bytes are made outside of the time."""

    def __init__(self, pieces: int) -> None:
        h2: Any = importlib.import_module("h2.connection")
        config: Any = importlib.import_module("h2.config")
        self._events: Any = importlib.import_module("h2.events")
        self._client = h2.H2Connection(config.H2Configuration(client_side=True))
        self._server = h2.H2Connection(config.H2Configuration(client_side=False))
        self._client.initiate_connection()
        self._server.initiate_connection()
        self._exchange()
        self._number = pieces
        self.read = 0
        self.outside_s = 0.0

    def _exchange(self) -> None:
        for one, other in ((self._client, self._server), (self._server, self._client)) * 2:
            if data := one.data_to_send():
                other.receive_data(data)

    def call(self) -> None:
        """One call; what the server does in it is taken off the time."""
        client = self._client
        stream = client.get_next_available_stream_id()
        head = [(":method", "POST"), (":scheme", "https"), (":authority", "api.example.com")]
        client.send_headers(stream, [*head, (":path", "/v1/chat/completions"), *HEADERS.items()])
        client.send_data(stream, BODY, end_stream=True)
        for data in self._answer(stream, client.data_to_send()):
            for event in client.receive_data(data):
                if isinstance(event, self._events.DataReceived):
                    self.read += len(event.data)
                    client.acknowledge_received_data(event.flow_controlled_length, stream)
            self._give_back(client.data_to_send())

    def _give_back(self, data: bytes) -> None:
        began = time.process_time()
        if data:
            self._server.receive_data(data)
        self.outside_s += time.process_time() - began

    def _answer(self, stream: int, asked: bytes) -> list[bytes]:
        began = time.process_time()
        server = self._server
        for event in server.receive_data(asked):
            if isinstance(event, self._events.DataReceived):
                server.acknowledge_received_data(event.flow_controlled_length, stream)
        server.send_headers(stream, [(":status", "200"), *ANSWER.items()])
        found = [server.data_to_send()]
        for _ in range(self._number):
            server.send_data(stream, PIECE)
            found.append(server.data_to_send())
        server.end_stream(stream)
        found.append(server.data_to_send())
        self.outside_s += time.process_time() - began
        return found


def per_call_us(make: Callable[[int], Any], pieces: int) -> tuple[float, float, float]:
    """(median, least, most) of the rounds, in microseconds of processor time."""
    found = []
    for _ in range(ROUNDS):
        subject = make(pieces)
        began = time.process_time()
        for _ in range(CALLS):
            subject.call()
        spent_s = time.process_time() - began - getattr(subject, "outside_s", 0.0)
        assert subject.read == CALLS * pieces * len(PIECE)
        found.append(spent_s / CALLS * 1e6)
    return statistics.median(found), min(found), max(found)


def main() -> None:
    """Write the table."""
    sys.stdout.write("| answer | HTTP/1.1 (httptools) | HTTP/2 (h2) | times |\n|---|---|---|---|\n")
    for pieces in (1, 40):
        one, two = per_call_us(Http1, pieces), per_call_us(Http2, pieces)
        cells = (f"{median:.0f} ({least:.0f} to {most:.0f}) us" for median, least, most in (one, two))
        cost = " | ".join((*cells, f"{two[0] / one[0]:.0f}"))
        sys.stdout.write(f"| {pieces} piece(s) of {len(PIECE)} bytes | {cost} |\n")


if __name__ == "__main__":
    main()
