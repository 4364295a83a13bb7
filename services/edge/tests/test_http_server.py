"""The HTTP server engine over real sockets: what clients may do to it, and what it promises whatever they do."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from fairlead_edge.http.connection import Limits
from fairlead_edge.http.messages import STOPPING, Request, ResponseWriter
from fairlead_edge.http.server import Server, serve

from tests.support.waiting import until

PLAIN = {"content-type": "text/plain"}
SMALL = Limits(body_bytes=1000, head_bytes=2000, sweep_s=0.05)

Handler = Callable[[Request, ResponseWriter], Awaitable[None]]


def reject(status: int, reason: str, path: str) -> tuple[dict[str, str], bytes]:
    return PLAIN, f"refused: {reason}".encode()


async def echo(request: Request, writer: ResponseWriter) -> None:
    head = f"{request.method} {request.path}?{request.query.decode()} {len(request.body)} "
    writer.send(200, PLAIN, head.encode() + request.body[:50])


@asynccontextmanager
async def listening(handler: Handler, limits: Limits | None = None) -> AsyncIterator[Server]:
    server = await serve(handler, "127.0.0.1", 0, reject=reject, limits=limits)
    try:
        yield server
    finally:
        await server.drain(0)


class Raw:
    """A client that says exactly what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    @asynccontextmanager
    async def to(cls, server: Server) -> AsyncIterator["Raw"]:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            yield cls(reader, writer)
        finally:
            writer.close()

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    async def keep_sending(self) -> None:
        async with asyncio.timeout(30):
            while True:
                self.say(b"x" * 1000)
                await self.writer.drain()
                await asyncio.sleep(0.01)

    async def head(self) -> tuple[int, dict[str, str]]:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = (line.split(": ", 1) for line in lines[1:] if line)
        return int(lines[0].split()[1]), dict(pairs)

    async def answer(self) -> tuple[int, bytes]:
        status, headers = await self.head()
        if headers.get("transfer-encoding") == "chunked":
            return status, await self._chunks()
        return status, await self.reader.readexactly(int(headers.get("content-length", 0)))

    async def _chunks(self) -> bytes:
        found = b""
        while size := int(await self.reader.readline(), 16):
            found += await self.reader.readexactly(size)
            await self.reader.readexactly(2)
        await self.reader.readexactly(2)
        return found

    async def rest(self) -> bytes:
        """Everything until the server closes."""
        async with asyncio.timeout(30):
            return await self.reader.read()


def get(path: str = "/", extra: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: x\r\n{extra}\r\n".encode()


def post(body: bytes, extra: str = "") -> bytes:
    return f"POST /p HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n{extra}\r\n".encode() + body


async def test_requests_of_one_connection_are_answered_in_order() -> None:
    turns: list[str] = []

    async def handler(request: Request, writer: ResponseWriter) -> None:
        if request.path == "/0":
            await asyncio.sleep(0.05)
        turns.append(request.path)
        await echo(request, writer)

    async with listening(handler) as server, Raw.to(server) as client:
        client.say(b"".join(get(f"/{i}?a=b") for i in range(40)) + post(b"last"))
        for i in range(40):
            assert await client.answer() == (200, f"GET /{i}?a=b 0 ".encode())
        assert await client.answer() == (200, b"POST /p? 4 last")
    assert turns == [*(f"/{i}" for i in range(40)), "/p"]


async def test_a_connection_is_kept_or_closed_as_the_client_asks() -> None:
    async with listening(echo) as server:
        async with Raw.to(server) as client:
            for _ in range(3):
                client.say(get())
                assert (await client.answer())[0] == 200
            client.say(get(extra="connection: close\r\n"))
            status, headers = await client.head()
            assert (status, headers["connection"]) == (200, "close")
            await client.rest()
        async with Raw.to(server) as client:
            client.say(b"GET /old HTTP/1.0\r\n\r\n")
            assert (await client.rest()).endswith(b"GET /old? 0 ")


async def test_a_stream_to_an_old_client_ends_with_the_connection() -> None:
    async def handler(request: Request, writer: ResponseWriter) -> None:
        writer.start(200, PLAIN)
        await writer.write(b"one ")
        writer.end(b"two")

    async with listening(handler) as server:
        async with Raw.to(server) as client:
            client.say(b"GET / HTTP/1.0\r\n\r\n")
            found = await client.rest()
            assert found.endswith(b"\r\n\r\none two")
            assert b"chunked" not in found
        async with Raw.to(server) as client:
            client.say(get())
            assert await client.answer() == (200, b"one two")


@pytest.mark.parametrize("pieces", [1, 3, 1000])
async def test_bodies_arrive_whole_however_they_are_cut(pieces: int) -> None:
    body = bytes(range(256)) * 3
    size = -(-len(body) // pieces)
    chunks = [body[i : i + size] for i in range(0, len(body), size)]
    chunked = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in chunks) + b"0\r\n\r\n"
    head = b"POST /p HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    seen: list[bytes] = []

    async def handler(request: Request, writer: ResponseWriter) -> None:
        seen.append(request.body)
        writer.send(200, PLAIN, b"")

    async with listening(handler, SMALL) as server, Raw.to(server) as client:
        client.say(head + chunked)
        await client.answer()
        for byte in post(body):
            client.say(bytes([byte]))
            if byte == 13:
                await asyncio.sleep(0)
        await client.answer()
    assert seen == [body, body]


async def test_trailers_are_not_headers() -> None:
    seen: list[dict[str, str]] = []

    async def handler(request: Request, writer: ResponseWriter) -> None:
        seen.append(request.headers)
        writer.send(200, PLAIN, b"")

    async with listening(handler) as server, Raw.to(server) as client:
        client.say(
            b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nauthorization: x\r\n\r\n"
        )
        await client.answer()
    assert "authorization" not in seen[0]


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_over_the_limit_is_refused_even_while_the_client_still_sends(chunked: bool) -> None:
    async with listening(echo, SMALL) as server, Raw.to(server) as client:
        if chunked:
            client.say(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n")
            client.say(b"200\r\n" + b"x" * 512 + b"\r\n" + b"200\r\n" + b"x" * 512 + b"\r\n")
        else:
            client.say(b"POST / HTTP/1.1\r\ncontent-length: 3000000\r\n\r\n")
        assert await client.answer() == (413, b"refused: the body exceeds 0.000953674 MB")
        client.say(b"x" * 2_900_000)
        await client.writer.drain()
        assert await client.rest() == b""
    assert server.connections == set()


async def test_a_client_library_sees_the_413() -> None:
    async with listening(echo, SMALL) as server, httpx.AsyncClient() as client:
        answer = await client.post(f"http://127.0.0.1:{server.port}/", content=b"x" * 8_000_000)
        assert answer.status_code == 413


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nbig: " + b"x" * 3000 + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * 3000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"hello\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"CONNECT example.org:443 HTTP/1.1\r\nhost: example.org:443\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", 400),
    ],
)
async def test_what_is_not_a_request_is_refused_and_the_connection_closed(data: bytes, status: int) -> None:
    async with listening(echo, SMALL) as server, Raw.to(server) as client:
        client.say(data)
        assert (await client.answer())[0] == status
        assert await client.rest() == b""


async def test_a_bad_request_in_a_pipeline_waits_for_its_turn() -> None:
    release = asyncio.Event()

    async def handler(request: Request, writer: ResponseWriter) -> None:
        await release.wait()
        await echo(request, writer)

    async with listening(handler) as server, Raw.to(server) as client:
        client.say(get("/first") + get("/second") + b"nonsense\r\n\r\n")
        await until(lambda: server.in_flight == 1)
        release.set()
        assert await client.answer() == (200, b"GET /first? 0 ")
        assert await client.answer() == (200, b"GET /second? 0 ")
        assert (await client.answer())[0] == 400
        assert await client.rest() == b""


async def test_upgrades_are_declined_by_serving_the_request() -> None:
    offer = "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n"
    async with listening(echo) as server, Raw.to(server) as client:
        client.say(get("/one", offer) + get("/two"))
        assert await client.answer() == (200, b"GET /one? 0 ")
        assert await client.answer() == (200, b"GET /two? 0 ")


async def test_continue_is_said_once_and_never_inside_another_answer() -> None:
    async with listening(echo, SMALL) as server:
        async with Raw.to(server) as client:
            client.say(b"POST / HTTP/1.1\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n")
            assert (await client.head())[0] == 100
            client.say(b"ab")
            assert await client.answer() == (200, b"POST /? 2 ab")
        async with Raw.to(server) as client:
            client.say(b"POST / HTTP/1.1\r\ncontent-length: 5000\r\nexpect: 100-continue\r\n\r\n")
            assert (await client.head())[0] == 413
        async with Raw.to(server) as client:
            client.say(get("/a") + post(b"ab", "expect: 100-continue\r\n"))
            assert await client.answer() == (200, b"GET /a? 0 ")
            assert await client.answer() == (200, b"POST /p? 2 ab")


async def test_paths_are_decoded_once() -> None:
    async with listening(echo) as server, Raw.to(server) as client:
        client.say(get("/a%2Fb%20c/%C3%A9?x=%20"))
        status, body = await client.answer()
        assert (status, body.decode()) == (200, "GET /a/b c/é?x=%20 0 ")


async def test_a_head_request_gets_no_body() -> None:
    async def handler(request: Request, writer: ResponseWriter) -> None:
        if request.path == "/stream":
            writer.start(200, PLAIN)
            await writer.write(b"abc")
            writer.end(b"def")
        else:
            writer.send(200, PLAIN, b"abc")

    async with listening(handler) as server, Raw.to(server) as client:
        client.say(b"HEAD /whole HTTP/1.1\r\n\r\nHEAD /stream HTTP/1.1\r\n\r\n" + get())
        status, headers = await client.head()
        assert (status, headers["content-length"]) == (200, "3")
        assert (await client.head())[0] == 200
        assert await client.answer() == (200, b"abc")


async def test_no_content_has_no_length() -> None:
    async def handler(request: Request, writer: ResponseWriter) -> None:
        writer.send(204, {}, b"")

    async with listening(handler) as server, Raw.to(server) as client:
        client.say(get() + get())
        for _ in range(2):
            status, headers = await client.head()
            assert (status, "content-length" in headers) == (204, False)


async def test_a_client_that_leaves_cancels_the_handler() -> None:
    ended: list[object] = []

    async def handler(request: Request, writer: ResponseWriter) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError as error:
            ended.append(error.args)
            raise

    async with listening(handler) as server:
        async with Raw.to(server) as client:
            client.say(get())
            await until(lambda: server.in_flight == 1)
        await until(lambda: bool(ended))
        assert ended == [()]
        await until(lambda: not server.connections)


async def test_a_slow_reader_slows_the_handler_and_a_dead_one_ends_it() -> None:
    written = 0
    gone = asyncio.Event()

    async def handler(request: Request, writer: ResponseWriter) -> None:
        nonlocal written
        writer.start(200, PLAIN)
        try:
            for _ in range(10_000):
                await writer.write(b"x" * 10_000)
                written += 1
        finally:
            gone.set()

    limits = Limits(write_buffer_bytes=20_000, stalled_s=0.3, sweep_s=0.05)
    async with listening(handler, limits) as server, Raw.to(server) as client:
        client.say(get())
        await client.reader.readexactly(1)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport can
        await until(gone.is_set)
    assert written < 9_000


async def test_slow_loris_gets_a_408_and_an_idle_connection_is_closed() -> None:
    limits = Limits(receive_s=0.2, idle_s=0.2, sweep_s=0.05)
    async with listening(echo, limits) as server:
        async with Raw.to(server) as client:
            client.say(b"GET / HTTP/1.1\r\nhost: ")
            assert (await client.answer())[0] == 408
            assert await client.rest() == b""
        async with Raw.to(server) as client:
            client.say(get())
            await client.answer()
            assert await client.rest() == b""


async def test_a_refused_client_that_never_stops_sending_is_cut() -> None:
    limits = Limits(body_bytes=1000, linger_s=0.2, sweep_s=0.05)
    async with listening(echo, limits) as server, Raw.to(server) as client:
        client.say(b"POST / HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n")
        with pytest.raises(ConnectionError):
            await client.keep_sending()
        await until(lambda: not server.connections)


async def test_a_handler_that_fails_or_forgets_its_answer_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(request: Request, writer: ResponseWriter) -> None:
        if request.path == "/raises":
            raise RuntimeError("a bug")
        if request.path == "/header":
            writer.send(200, {"x": "a\r\nb: c"}, b"")
        if request.path == "/after":
            writer.send(200, PLAIN, b"complete")
            raise RuntimeError("a bug after the answer")

    async with listening(handler) as server:
        for path in ("/raises", "/forgets", "/header"):
            async with Raw.to(server) as client:
                client.say(get(path))
                assert await client.answer() == (
                    500,
                    b"refused: the edge failed on this request; its log says why",
                )
        async with Raw.to(server) as client:
            client.say(get("/after") + get("/after"))
            assert await client.answer() == (200, b"complete")
            assert await client.answer() == (200, b"complete")
    assert "a bug" in caplog.text


async def test_an_unfinished_stream_does_not_look_complete() -> None:
    async def handler(request: Request, writer: ResponseWriter) -> None:
        writer.start(200, PLAIN)
        await writer.write(b"half")
        raise RuntimeError("a bug")

    async with listening(handler) as server, Raw.to(server) as client:
        client.say(get())
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError, ValueError)):
            await client.answer()


async def test_draining_finishes_what_runs_and_refuses_what_comes() -> None:
    release = asyncio.Event()

    async def handler(request: Request, writer: ResponseWriter) -> None:
        await release.wait()
        await echo(request, writer)

    server = await serve(handler, "127.0.0.1", 0, reject=reject)
    async with Raw.to(server) as running, Raw.to(server) as idle, Raw.to(server) as sending:
        running.say(get("/running"))
        sending.say(b"POST /sending HTTP/1.1\r\ncontent-length: 2\r\n\r\na")
        await until(
            lambda: (
                server.in_flight == 1
                and len(server.connections) == 3
                and any(connection.receiving for connection in server.connections)
            )
        )
        draining = asyncio.create_task(server.drain(30))
        assert await idle.rest() == b""
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", server.port)
        sending.say(b"b")
        release.set()
        assert await running.answer() == (200, b"GET /running? 0 ")
        assert await sending.answer() == (200, b"POST /sending? 2 ab")
        assert (await running.rest(), await sending.rest()) == (b"", b"")
        await draining
    assert server.connections == set()


async def test_at_the_end_of_the_drain_handlers_may_say_a_last_word() -> None:
    async def handler(request: Request, writer: ResponseWriter) -> None:
        writer.start(200, PLAIN)
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError as error:
            writer.end(str(error.args[0]).encode())
            raise

    server = await serve(handler, "127.0.0.1", 0, reject=reject)
    async with Raw.to(server) as client:
        client.say(get())
        await until(lambda: server.in_flight == 1)
        await server.drain(0.01)
        assert await client.answer() == (200, STOPPING.encode())
        assert await client.rest() == b""
