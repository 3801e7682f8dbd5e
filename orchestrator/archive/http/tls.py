"""TLS for those who call us (PS3.15 B.12: BCP 195 with RFC 8996 and RFC 9325)."""

from __future__ import annotations

import logging
import socket
import ssl
from pathlib import Path

from orchestrator.domain.errors import SettingsError

CIPHERS = "ECDHE+AESGCM"  # RFC 9325 4.2 for TLS 1.2; those of TLS 1.3 are all good
_log = logging.getLogger(__name__)


class Credentials:
    """What this host shows to callers and whom it believes; read anew when one of the files changes.

    Connections that are open keep what they began with. New files that are faulty change nothing.
    """

    def __init__(
        self, certificate_file: Path, key_file: Path, ca_file: Path | None = None, *, require_certificate: bool = True
    ) -> None:
        """Read the files, all of them PEM.

        ca_file: authorities whose certificates callers may show. require_certificate: callers must show one.
        Raises SettingsError.
        """
        self._certificate_file = certificate_file
        self._key_file = key_file
        self._ca_file = ca_file
        self._require = require_certificate
        if require_certificate and ca_file is None:
            raise SettingsError("[receiver_tls] require_certificate needs ca_file: whose certificates are good")
        self._state = self._look()
        self._context = self._read()

    def wrap(self, connection: socket.socket) -> ssl.SSLSocket:
        """Return the connection as our side of TLS, which takes its place; the handshake is still to come.

        Raises OSError where the peer is gone already.
        """
        self._renew()
        return self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)

    def _renew(self) -> None:
        state = self._look()
        if state == self._state:
            return
        self._state = state
        try:
            self._context = self._read()
        except SettingsError as fault:
            _log.error("%s; what was read before stays in use", fault)  # the message says it all
        else:
            _log.info("the certificate %s is read anew", self._certificate_file)

    def _look(self) -> tuple[tuple[int, int, int] | None, ...]:
        files = (self._certificate_file, self._key_file, self._ca_file)
        return tuple(_state_of(file) for file in files if file is not None)

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(CIPHERS)
        # no session outlives what its certificate was checked against
        context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        context.num_tickets = 0
        # an end without goodbye is not mistaken for the end of anything: PDUs have lengths, associations a release
        context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF
        try:
            context.load_cert_chain(self._certificate_file, self._key_file, password=lambda: "")
        except (OSError, ValueError) as fault:
            raise SettingsError(
                f"[receiver_tls] {self._certificate_file} and {self._key_file} are no certificate with its key: "
                f"{reason_of(fault)}"
            ) from None
        if self._ca_file is not None:
            self._trust(context, self._ca_file)
        return context

    def _trust(self, context: ssl.SSLContext, ca_file: Path) -> None:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ValueError) as fault:
            raise SettingsError(
                f"[receiver_tls] {ca_file} holds no authority's certificate: {reason_of(fault)}"
            ) from None
        context.verify_mode = ssl.CERT_REQUIRED if self._require else ssl.CERT_OPTIONAL


def reason_of(fault: Exception) -> str:
    """Return in short what went wrong with a certificate or handshake, without what it was about."""
    if isinstance(fault, ssl.SSLCertVerificationError):
        return fault.verify_message
    if isinstance(fault, ssl.SSLError):
        return (fault.reason or "no TLS").replace("_", " ").lower()
    return fault.strerror or type(fault).__name__ if isinstance(fault, OSError) else type(fault).__name__


def _state_of(file: Path) -> tuple[int, int, int] | None:
    try:
        state = file.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino
