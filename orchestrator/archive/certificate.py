"""What an archive shows when TLS begins, for the person who has to renew it in time."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


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
    context = ssl.create_default_context(cafile=ca_file)
    if certificate_file:
        context.load_cert_chain(certificate_file, key_file)
    with (
        socket.create_connection((host, port), timeout_seconds) as connection,
        context.wrap_socket(connection, server_hostname=host) as secured,
    ):
        seconds = ssl.cert_time_to_seconds(str((secured.getpeercert() or {})["notAfter"]))
        return ShownCertificate(secured.version() or "TLS", datetime.fromtimestamp(seconds, UTC))
