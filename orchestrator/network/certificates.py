"""Until when certificates are valid: the one that a peer shows, and our own files."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from orchestrator.network.tls import TlsFiles, client_context, server_context


@dataclass(frozen=True, slots=True)
class ShownCertificate:
    """The version of TLS that was agreed on, and when the peer's certificate ends."""

    protocol: str
    expires: datetime


def shown_certificate(host: str, port: int, files: TlsFiles, *, timeout_seconds: float) -> ShownCertificate:
    """Return what the peer shows; the certificate is checked as for every connection.

    Raises OSError, of which ssl.SSLError is one.
    """
    with (
        socket.create_connection((host, port), timeout_seconds) as connection,
        client_context(files).wrap_socket(connection, server_hostname=host) as secured,
    ):
        encoded = secured.getpeercert(binary_form=True) or b""
        return ShownCertificate(secured.version() or "TLS", certificate_end(encoded))


def own_certificate_end(certificate_file: Path, key_file: Path) -> datetime:
    """Return when a certificate of ours ends, which may have been already.

    Raises OSError where a file is missing, or they are no certificate with its key.
    """
    server_context(certificate_file, key_file)  # which checks that they belong together
    return certificate_end(certificate_file.read_bytes())


def certificate_end(encoded: bytes) -> datetime:
    """Return when a certificate ends, in UTC. encoded: DER, or PEM, whose first certificate counts.

    Raises OSError where there is none.
    """
    from cryptography import x509  # 0.1 s, for doctor only

    try:
        if b"-----BEGIN " in encoded:
            certificate = x509.load_pem_x509_certificates(encoded)[0]
        else:
            certificate = x509.load_der_x509_certificate(encoded)
        end: datetime = certificate.not_valid_after_utc
    except ValueError:
        raise OSError("no certificate that can be read") from None
    return end
