"""The HTTP/1.1 client over real sockets, against servers that do to it what providers and their proxies do."""

import asyncio
import ssl
import subprocess
from pathlib import Path

import pytest
from fairlead_models.transport.protocol import (
    BadResponse,
    ConnectFailed,
    ConnectionBroken,
    ConnectTimeout,
    FirstByteTimeout,
    HttpRequest,
    PoolLimits,
    ResponseTooLarge,
    Timeouts,
    TransportError,
)

from libs.models.tests.http_providers import (
    PATIENT,
    answer,
    ask,
    post,
    provider,
    read_request,
    saying,
    silent,
    transport,
)
from tests.support.servers import free_port
from tests.support.waiting import until


async def test_what_is_sent() -> None:
    seen: list[bytes] = []

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            seen.append(await read_request(reader))
            writer.write(answer(b"ok"))

    async with provider(session) as server, transport() as client:
        assert await (await client.send(post(server, b"abc"), PATIENT)).body() == b"ok"
        await (await client.send(HttpRequest("GET", server.url, {}), PATIENT)).body()
        authority = server.url.removeprefix("http://")
        assert seen == [
            f"POST /v1/chat?x=1 HTTP/1.1\r\nhost: {authority}\r\naccept: application/json\r\n".encode()
            + b"content-length: 3\r\n\r\nabc",
            f"GET / HTTP/1.1\r\nhost: {authority}\r\n\r\n".encode(),
        ]
        with pytest.raises(ValueError, match="line break"):
            await client.send(HttpRequest("GET", server.url, {"x": "a\r\nb: c"}), PATIENT)


async def test_connections_are_reused_while_the_server_keeps_them() -> None:
    async with provider(saying(answer(b"one"))) as server, transport() as client:
        reused = []
        for _ in range(3):
            response = await ask(client, server)
            assert (response.status, await response.body()) == (200, b"one")
            reused.append(response.phases.reused)
        assert (reused, server.connections) == ([False, True, True], 1)
    closing = saying(answer(b"one", "connection: close\r\n"))
    async with provider(closing) as server, transport() as client:
        for _ in range(2):
            assert await (await ask(client, server)).body() == b"one"
        assert server.connections == 2


async def test_phases_are_those_that_happened_and_a_failure_has_those_that_ended() -> None:
    async with provider(saying(answer(b"one"))) as server, transport() as client:
        first = await ask(client, server)
        await first.body()
        phases = first.phases
        assert phases.dns_ms is not None
        assert phases.connect_ms is not None
        assert phases.first_byte_ms is not None
        assert phases.tls_ms is None
        assert phases.first_byte_ms >= phases.dns_ms + phases.connect_ms
        again = (await ask(client, server)).phases
        assert (again.dns_ms, again.connect_ms, again.reused) == (None, None, True)
    silent = Timeouts(connect_s=20, first_byte_s=0.05, between_bytes_s=20, total_s=60)
    async with provider(saying()) as server, transport() as client:
        with pytest.raises(FirstByteTimeout) as late:
            await ask(client, server, silent)
        assert late.value.phases is not None
        assert late.value.phases.connect_ms is not None
        assert late.value.phases.first_byte_ms is None


@pytest.mark.parametrize(
    ("parts", "close", "expected"),
    [
        ((b"HTTP/1.1 200 OK\r\ncontent-le", b"ngth: 5\r\n\r\nhel", b"lo"), False, b"hello"),
        ((b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r", b"\nlo\r\n0\r\n\r\n"), False, b"hello"),
        ((b"HTTP/1.1 200 OK\r\n\r\nhello",), True, b"hello"),
        ((b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello",), False, b"hello"),
        ((b"HTTP/1.1 100 Continue\r\n\r\n", answer(b"hello")), False, b"hello"),
        ((b"HTTP/1.1 204 No Content\r\n\r\n",), False, b""),
        ((b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",), False, b""),
    ],
)  # fmt: skip
async def test_bodies_of_every_framing(parts: tuple[bytes, ...], close: bool, expected: bytes) -> None:
    async with provider(saying(*parts, then_close=close)) as server, transport() as client:
        for _ in range(2):
            assert await (await ask(client, server)).body() == expected


async def test_repeated_spellings_of_headers_are_one() -> None:
    head = b"HTTP/1.1 200 OK\r\nCONTENT-Length: 0\r\nX-Request-ID: 7\r\nRetry-After: 3\r\nx-Own: \xe9\r\n\r\n"
    async with provider(saying(head)) as server, transport() as client:
        found = (await ask(client, server)).headers
        assert found == {"content-length": "0", "x-request-id": "7", "retry-after": "3", "x-own": "é"}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((b"hello\r\n\r\n",), BadResponse),
        ((b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",), BadResponse),
        ((b"HTTP/1.1 200 OK\r\nbig: " + b"x" * 70_000 + b"\r\n\r\n",), BadResponse),
        ((b"HTTP/1.1 200 OK\r\n",), ConnectionBroken),
        ((b"",), ConnectionBroken),
    ],
)
async def test_what_is_no_answer(parts: tuple[bytes, ...], expected: type[TransportError]) -> None:
    async with provider(saying(*parts, then_close=True)) as server, transport() as client:
        with pytest.raises(expected):
            await ask(client, server)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n",
    ],
)
async def test_a_body_cut_short_gives_what_came_and_then_the_error(head: bytes) -> None:
    async with provider(saying(head + b"hello", then_close=True)) as server, transport() as client:
        response = await ask(client, server)
        assert await response.chunk() == b"hello"
        with pytest.raises(ConnectionBroken):
            await response.chunk()


async def test_an_idle_connection_the_server_closed_costs_one_silent_retry() -> None:
    gate = asyncio.Event()

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer(b"first"))
        await read_request(reader)  # the second request is swallowed, as by a server that is just closing
        gate.set()

    async with provider(session) as server, transport() as client:
        assert await (await ask(client, server)).body() == b"first"
        assert await (await ask(client, server)).body() == b"first"
        assert (gate.is_set(), server.connections) == (True, 2)


async def test_an_answer_that_has_begun_is_never_asked_for_again() -> None:
    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer(b"first"))
        await read_request(reader)
        writer.write(b"HTTP/1.1 200")

    async with provider(session) as server, transport() as client:
        await (await ask(client, server)).body()
        with pytest.raises(ConnectionBroken):
            await ask(client, server)
        assert server.connections == 1


async def test_a_connection_closed_after_an_answer_without_length_is_no_answer_to_the_next() -> None:
    """The state of one exchange must not leak into the next on the same connection."""

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await read_request(reader)

    async with provider(session) as server, transport() as client:
        for number in range(1, 4):
            assert (await ask(client, server)).status == 204
            assert server.connections == number


@pytest.mark.parametrize("surplus", [answer(b"unasked"), b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nuna"])
async def test_an_answer_nobody_asked_for_is_not_taken_for_the_next(surplus: bytes) -> None:
    async with provider(saying(answer(b"asked") + surplus)) as server, transport() as client:
        for _ in range(3):
            assert await (await ask(client, server)).body() == b"asked"
        assert server.connections == 3


async def test_tls_is_verified(tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with provider(saying(answer(b"secret")), context) as server:
        async with transport(tls=ssl.create_default_context(cafile=str(certificate))) as client:
            secured = []
            for _ in range(2):
                response = await ask(client, server)
                assert await response.body() == b"secret"
                secured.append(response.phases.tls_ms is not None)
            assert (secured, server.connections) == ([True, False], 1)
        async with transport() as client:
            with pytest.raises(ConnectFailed) as failed:
                await ask(client, server)
            assert failed.value.kind == "tls"


async def test_an_answer_larger_than_the_buffer_leaves_the_connection_usable() -> None:
    """Reading pauses when the buffer is full; a connection that went back to its pool must not stay deaf."""
    limits = PoolLimits(buffer_bytes=1000)
    async with provider(saying(answer(b"x" * 3_000_000))) as server, transport(limits) as client:
        for _ in range(4):
            response = await ask(client, server)
            await asyncio.sleep(0.02)
            assert len(await response.body()) == 3_000_000
        assert server.connections == 1


async def test_a_slow_reader_slows_the_provider() -> None:
    written = 0

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(1000):
            writer.write(b"x" * 100_000)
            await writer.drain()
            written += 1

    async with provider(session) as server, transport(PoolLimits(buffer_bytes=10_000)) as client:
        response = await ask(client, server)
        await response.chunk()
        settled, before = 0, -1
        while settled < 20:
            settled, before = (settled + 1 if written == before else 0), written
            await asyncio.sleep(0.01)
        assert written < 900
        response.close()
        await until(lambda: server.ended == 1)


async def test_too_large_an_answer_is_an_error() -> None:
    async with provider(saying(answer(b"x" * 100_000))) as server, transport() as client:
        with pytest.raises(ResponseTooLarge):
            await (await ask(client, server)).body(10_000)


async def test_cancelling_closes_the_connection() -> None:
    async with provider(silent) as server, transport() as client:
        task = asyncio.create_task(ask(client, server))
        await until(lambda: server.connections == 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await until(lambda: server.ended == 1)


async def test_the_pool_is_bounded_and_hands_free_places_on() -> None:
    release = asyncio.Event()

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            await release.wait()
            writer.write(answer(b"ok"))

    async with provider(session) as server, transport(PoolLimits(per_origin=2)) as client:
        asked = [asyncio.create_task(ask(client, server)) for _ in range(6)]
        await until(lambda: server.connections == 2)
        asked[3].cancel()  # one of those that wait
        release.set()
        done = await asyncio.gather(*asked, return_exceptions=True)
        assert [isinstance(each, asyncio.CancelledError) for each in done] == [i == 3 for i in range(6)]
        assert server.connections == 2
        release.clear()
        busy = [asyncio.create_task(ask(client, server)) for _ in range(2)]
        await asyncio.sleep(0.05)
        with pytest.raises(ConnectTimeout):
            await ask(client, server, Timeouts(0.1, 20, 20, 60))
        release.set()
        await asyncio.gather(*busy)


async def test_a_place_that_failed_to_connect_goes_to_the_next_in_line() -> None:
    port = free_port()
    async with transport(PoolLimits(per_origin=1)) as client:
        request = HttpRequest("GET", f"http://127.0.0.1:{port}/", {})
        asked = [client.send(request, PATIENT) for _ in range(5)]
        done = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(each, ConnectFailed) for each in done)


async def test_connections_idle_for_too_long_are_not_used() -> None:
    async with provider(saying(answer(b"ok"))) as server, transport(PoolLimits(idle_s=0)) as client:
        for number in range(1, 4):
            await (await ask(client, server)).body()
            await asyncio.sleep(0.002)
            assert server.connections == number
        await until(lambda: server.ended >= 2)
