"""Records TLS faults of associations: pynetdicom reports only whether there is a connection."""

from __future__ import annotations

import socket
import ssl
from typing import Any, cast

from orchestrator.domain.errors import ArchiveError, ArchiveRefused, ArchiveUnavailable
from orchestrator.network.tls import TlsFiles, set_up_client

_CLIENT_CERTIFICATE_ALERTS = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "no certificate",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "no certificate, or no cipher suite that the archive accepts",
    "SSLV3_ALERT_BAD_CERTIFICATE": "a certificate that the archive does not accept",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "a certificate that has expired",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "a revoked certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "a certificate that the archive does not accept",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "a certificate of an unsupported kind",
    "TLSV1_ALERT_UNKNOWN_CA": "a certificate of an authority that the archive does not trust",
    "TLSV1_ALERT_ACCESS_DENIED": "a certificate that has no access to the archive",
}
"""Alerts of a server about the client's certificate, by OpenSSL's names (RFC 8446 6.2)."""
_OTHER_VERSIONS = {"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "WRONG_SSL_VERSION"}
_NO_TLS = {"WRONG_VERSION_NUMBER", "UNEXPECTED_MESSAGE", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}


def recording_context(files: TlsFiles, sockets: list[socket.socket]) -> RecordingContext:
    """Return the TLS context of one connection; the files are read each time, so renewed certificates are used.

    sockets: the connection's socket is added to it, for the caller to close.
    Raises OSError where a file is missing or has no certificate.
    """
    context = set_up_client(RecordingContext(ssl.PROTOCOL_TLS_CLIENT), files)
    context.faults, context.sockets, context.has_handshake = [], sockets, False
    return context


class _RecordingSocket(ssl.SSLSocket):
    """Records its faults in its context."""

    def connect(self, addr: Any) -> None:
        self._recording().sockets.append(self)
        super().connect(addr)

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except ssl.SSLError as fault:
            self._note(fault)
            raise
        self._recording().has_handshake = True

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        try:
            return super().recv(buflen, flags)
        except ssl.SSLError as fault:  # with TLS 1.3 a server checks the client's certificate after the handshake
            self._note(fault)
            raise

    def _note(self, fault: ssl.SSLError) -> None:
        self._recording().faults.append(fault)

    def _recording(self) -> RecordingContext:
        return cast(RecordingContext, self.context)


class RecordingContext(ssl.SSLContext):
    """A context with the faults of its connection. has_handshake: whether the handshake succeeded."""

    sslsocket_class = _RecordingSocket
    faults: list[ssl.SSLError]
    sockets: list[socket.socket]
    has_handshake: bool


def explain_fault(archive: str, fault: ssl.SSLError) -> ArchiveError:
    """Return an error that says what is wrong and what to do.

    ArchiveUnavailable where the connection was closed, ArchiveRefused where a retry would not help.
    """
    reason = fault.reason or ""
    if isinstance(fault, ssl.SSLCertVerificationError):
        return ArchiveRefused(
            f"{archive} has an invalid certificate ({fault.verify_message.rstrip('.')}): "
            "renew it there, or set ca_file to the authority that signed it"
        )
    if reason in _CLIENT_CERTIFICATE_ALERTS:
        return ArchiveRefused(
            f"{archive} refuses TLS, because this host sent {_CLIENT_CERTIFICATE_ALERTS[reason]}: "
            "set certificate_file and key_file to a certificate that the archive accepts"
        )
    if reason in _OTHER_VERSIONS:
        return ArchiveRefused(f"{archive} speaks no TLS 1.2 or later: switch it on there")
    if reason in _NO_TLS:
        return ArchiveRefused(f"{archive} speaks no TLS on this port: use dimse:// or another port")
    return ArchiveUnavailable(f"{archive} closed the connection in the TLS handshake ({reason or 'no reason given'})")
