"""TLS in front of a simulated provider: a relay whose certificate the stack trusts until it expires."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fairlead.drills.relay import Relay
from fairlead.ports import HOST

NAME = "localhost"
AUTHORITY = "fairlead drill"
DAY = timedelta(days=1)


class TlsFront:
    """Listens on a port of its own and passes on to ``port``.

    Args:
        folder: for its certificates and their key.
    """

    def __init__(self, folder: Path, port: int) -> None:
        now = datetime.now(UTC)
        authority = Authority(now)
        self.trusted = folder / "tls-authority.pem"
        """For ``SSL_CERT_FILE``: who trusts it finds nothing wrong with this front but an expired certificate."""
        self.trusted.write_bytes(authority.certificate.public_bytes(serialization.Encoding.PEM))
        self._valid = authority.context(folder / "tls-valid.pem", now + DAY)
        self._expired = authority.context(folder / "tls-expired.pem", now - DAY)
        self._valid.sni_callback = self._choose
        self._is_expired = False
        self._relay = Relay(lambda: asyncio.open_connection(HOST, port))
        self._server: asyncio.Server | None = None

    async def begin(self) -> int:
        """Listen; the port."""
        self._server = await asyncio.start_server(self._relay.link, HOST, 0, ssl=self._valid)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def expire(self) -> None:
        """Whoever connects from now on is shown a certificate that has expired; connections that are open break."""
        self._is_expired = True
        self._relay.cut()

    def renew(self) -> None:
        """The certificate is good again."""
        self._is_expired = False

    def end(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
        self._relay.cut()

    def _choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        if self._is_expired:
            connection.context = self._expired


class Authority:
    """Signs the certificates of one front; nobody else has its key."""

    def __init__(self, now: datetime) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._begins = now - 2 * DAY
        ends = now + DAY
        self.certificate = (
            self._certificate(AUTHORITY, self._key, ends)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def context(self, path: Path, ends: datetime) -> ssl.SSLContext:
        """Of a server whose certificate is good until ``ends``; the certificate and its key are written to ``path``."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            self._certificate(NAME, key, ends)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        path.touch(mode=0o600)
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _certificate(
        self, name: str, key: ec.EllipticCurvePrivateKey, ends: datetime
    ) -> x509.CertificateBuilder:
        return x509.CertificateBuilder(
            _named(AUTHORITY), _named(name), key.public_key(), x509.random_serial_number(), self._begins, ends
        )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
