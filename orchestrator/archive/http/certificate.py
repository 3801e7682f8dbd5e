"""Until when certificates are good: what an archive shows, and our own; for the person who has to renew them."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.network.tls import TlsFiles, client_context

_PARTIAL_CHAIN, _NO_CHECK_TIME = 0x80000, 0x200000
"""X509_V_FLAG_PARTIAL_CHAIN: it vouches for itself; X509_V_FLAG_NO_CHECK_TIME (OpenSSL, x509_vfy.h)."""


@dataclass(frozen=True, slots=True)
class ShownCertificate:
    """The version of TLS that was agreed on, and when the archive's certificate ends."""

    protocol: str
    expires: datetime


def shown_certificate(
    host: str,
    port: int,
    *,
    ca_file: Path | None,
    certificate_file: Path | None,
    key_file: Path | None,
    timeout_seconds: float,
) -> ShownCertificate:
    """Return what the archive shows; the certificate is checked as for every connection.

    Raises OSError, of which ssl.SSLError is one.
    """
    context = client_context(TlsFiles(ca_file=ca_file, certificate_file=certificate_file, key_file=key_file))
    with (
        socket.create_connection((host, port), timeout_seconds) as connection,
        context.wrap_socket(connection, server_hostname=host) as secured,
    ):
        return ShownCertificate(secured.version() or "TLS", _end_of(secured.getpeercert()))


def own_certificate_end(certificate_file: Path, key_file: Path, *, as_client: bool) -> datetime:
    """Return until when a certificate of ours is good that we show as a client, or as a server.

    Python reads a certificate only for who is shown it: so it is shown to ourselves, in memory, and taken
    whatever its dates are. Raises OSError, of which ssl.SSLError is one.
    """
    contexts = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for context in contexts:
        context.load_cert_chain(certificate_file, key_file)
        context.load_verify_locations(certificate_file)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    client, server = contexts
    seeing = server if as_client else client
    seeing.verify_mode = ssl.CERT_REQUIRED
    seeing.verify_flags |= ssl.VerifyFlags(_PARTIAL_CHAIN | _NO_CHECK_TIME)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True)
    for end in ends * 3:  # more often than TLS 1.2 and 1.3 take turns
        with suppress(ssl.SSLWantReadError):
            end.do_handshake()
    return _end_of(ends[as_client].getpeercert())


def _end_of(certificate: Mapping[str, object] | None) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str((certificate or {})["notAfter"])), UTC)
