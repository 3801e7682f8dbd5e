"""How the TLS connection of an association went: pynetdicom tells only whether there is one."""

from __future__ import annotations

import socket
import ssl
from typing import Any, cast

from orchestrator.domain.errors import ArchiveError, ArchiveRefused, ArchiveUnavailable
from orchestrator.network.tls import TlsFiles, prepared_client

_CLIENT_CERTIFICATE_ALERTS = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "no certificate",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "no certificate, or no cipher suite that it takes",
    "SSLV3_ALERT_BAD_CERTIFICATE": "a certificate that it does not take",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "a certificate that has expired",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "a certificate that is revoked",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "a certificate that it does not take",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "a certificate of a kind that it does not take",
    "TLSV1_ALERT_UNKNOWN_CA": "a certificate of an authority that it does not know",
    "TLSV1_ALERT_ACCESS_DENIED": "a certificate that may not come in there",
}
"""What a server says of the client's certificate, by OpenSSL's names (RFC 8446 6.2)."""
_OTHER_VERSIONS = {"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "WRONG_SSL_VERSION"}
_NO_TLS = {"WRONG_VERSION_NUMBER", "UNEXPECTED_MESSAGE", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}


def noting_context(files: TlsFiles, sockets: list[socket.socket]) -> NotingContext:
    """Return what one connection is made with; the files are read again each time, since certificates are renewed.

    sockets: takes the connection's socket, to be closed in any case.
    Raises OSError where a file is missing or holds none.
    """
    context = prepared_client(NotingContext(ssl.PROTOCOL_TLS_CLIENT), files)
    context.faults, context.sockets, context.shaken = [], sockets, False
    return context


class _NotingSocket(ssl.SSLSocket):
    """Leaves its faults in its context: pynetdicom only tells that there is no connection."""

    def connect(self, addr: Any) -> None:
        self._noting().sockets.append(self)
        super().connect(addr)

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except ssl.SSLError as fault:
            self._note(fault)
            raise
        self._noting().shaken = True

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        try:
            return super().recv(buflen, flags)
        except ssl.SSLError as fault:  # with TLS 1.3 a server judges our certificate after the handshake
            self._note(fault)
            raise

    def _note(self, fault: ssl.SSLError) -> None:
        self._noting().faults.append(fault)

    def _noting(self) -> NotingContext:
        return cast(NotingContext, self.context)


class NotingContext(ssl.SSLContext):
    """A context that remembers how its connection went. shaken: the handshake was done."""

    sslsocket_class = _NotingSocket
    faults: list[ssl.SSLError]
    sockets: list[socket.socket]
    shaken: bool


def named(archive: str, fault: ssl.SSLError) -> ArchiveError:
    """Return in words what is wrong, and what a person can do about it.

    ArchiveUnavailable where the connection just ended, ArchiveRefused where it will not go better next time.
    """
    reason = fault.reason or ""
    if isinstance(fault, ssl.SSLCertVerificationError):
        return ArchiveRefused(
            f"{archive} shows a certificate that does not hold ({fault.verify_message.rstrip('.')}): "
            "renew it there, or name the authority that signed it as ca_file"
        )
    if reason in _CLIENT_CERTIFICATE_ALERTS:
        return ArchiveRefused(
            f"{archive} was shown {_CLIENT_CERTIFICATE_ALERTS[reason]}: "
            "set certificate_file and key_file to what it knows this host by"
        )
    if reason in _OTHER_VERSIONS:
        return ArchiveRefused(f"{archive} speaks no TLS 1.2 or later: switch that on there")
    if reason in _NO_TLS:
        return ArchiveRefused(f"{archive} speaks no TLS on this port: write dimse:// or another port")
    return ArchiveUnavailable(f"{archive} ended the TLS handshake ({reason or 'no reason given'})")
