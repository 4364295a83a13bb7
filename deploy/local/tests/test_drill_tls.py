"""The front that speaks TLS: what a client that trusts it sees before, while and after its certificate has expired."""

import asyncio
import contextlib
import ssl
from pathlib import Path

import pytest
from fairlead.drills.tls import NAME, TlsFront

from tests.support.waiting import until


async def test_an_expired_certificate_breaks_what_is_open_and_is_refused_until_it_is_renewed(
    tmp_path: Path,
) -> None:
    echoing: set[asyncio.StreamWriter] = set()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        echoing.add(writer)
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(100):
                writer.write(data)
            writer.close()
            await writer.wait_closed()
        echoing.discard(writer)

    behind = await asyncio.start_server(echo, "127.0.0.1", 0)
    front = TlsFront(tmp_path, behind.sockets[0].getsockname()[1])
    port = await front.begin()
    trusting = ssl.create_default_context(cafile=str(front.trusted))

    async def said() -> tuple[bytes, asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname=NAME)
        writer.write(b"hello")
        return await reader.readexactly(5), reader, writer

    heard, reader, open_before = await said()
    assert heard == b"hello"
    front.expire()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError, ssl.SSLError)):
        await reader.readexactly(1)
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        await said()
    front.renew()
    heard, _, open_after = await said()
    assert heard == b"hello"
    front.end()
    behind.close()
    for each in (open_before, open_after):
        each.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await each.wait_closed()
    await until(lambda: not echoing)
