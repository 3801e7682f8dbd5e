"""Expiry dates of certificates: of a peer and of this host's own files."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from orchestrator.network.tls import TlsFiles, client_context, server_context


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """protocol: the negotiated TLS version. expires: when the peer's certificate expires, in UTC."""

    protocol: str
    expires: datetime


def read_peer_certificate(host: str, port: int, files: TlsFiles, *, timeout_seconds: float) -> PeerCertificate:
    """Connect to a peer and return its certificate, which is verified as for every connection.

    Raises OSError, of which ssl.SSLError is one.
    """
    with (
        socket.create_connection((host, port), timeout_seconds) as connection,
        client_context(files).wrap_socket(connection, server_hostname=host) as tls_connection,
    ):
        content = tls_connection.getpeercert(binary_form=True) or b""
        return PeerCertificate(tls_connection.version() or "TLS", certificate_end(content))


def own_certificate_end(certificate_file: Path, key_file: Path) -> datetime:
    """Return when one of this host's certificates expires; the time may be past.

    Raises OSError if a file is missing, is no certificate, or the key belongs to another certificate.
    """
    server_context(certificate_file, key_file)  # checks that the key belongs to the certificate
    return certificate_end(certificate_file.read_bytes())


def certificate_end(content: bytes) -> datetime:
    """Return when a certificate expires, in UTC. content: DER, or PEM, of which the first certificate counts.

    Raises OSError if the content is no certificate.
    """
    from cryptography import x509  # 0.1 s, for doctor only

    try:
        if b"-----BEGIN " in content:
            certificate = x509.load_pem_x509_certificates(content)[0]
        else:
            certificate = x509.load_der_x509_certificate(content)
        end: datetime = certificate.not_valid_after_utc
    except ValueError:
        raise OSError("the file contains no readable certificate") from None
    return end
