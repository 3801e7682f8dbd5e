"""The receiver's certificate for TLS, and the authorities whose certificates callers may present."""

from __future__ import annotations

import logging
import socket
import ssl
from pathlib import Path

from orchestrator.domain.errors import SettingsError
from orchestrator.network.tls import check_callers, file_state, reason_of, server_context

_log = logging.getLogger(__name__)


class Credentials:
    """The receiver's TLS certificate and the trusted authorities; the files are read again when one of them changes.

    Open connections keep the certificates that they started with. Invalid new files change nothing.
    """

    def __init__(
        self, certificate_file: Path, key_file: Path, ca_file: Path | None = None, *, require_certificate: bool = True
    ) -> None:
        """Read the files, all of them PEM.

        ca_file: authorities that sign the callers' certificates. require_certificate: callers must present one.
        Raises SettingsError.
        """
        self._certificate_file = certificate_file
        self._key_file = key_file
        self._ca_file = ca_file
        self._require = require_certificate
        if require_certificate and ca_file is None:
            raise SettingsError("[receiver_tls] require_certificate needs ca_file, the authority of the certificates")
        self._state = self._look()
        self._context = self._read()

    def wrap(self, connection: socket.socket) -> ssl.SSLSocket:
        """Return the server side of TLS on a connection, before the handshake; it replaces the connection.

        Raises OSError where the peer has closed the connection.
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
            _log.error("receiver keeps its previous TLS certificates: %s", fault)
        else:
            _log.info("receiver read its changed TLS certificate %s", self._certificate_file)

    def _look(self) -> tuple[tuple[int, int, int] | None, ...]:
        files = (self._certificate_file, self._key_file, self._ca_file)
        return tuple(file_state(file) for file in files if file is not None)

    def _read(self) -> ssl.SSLContext:
        try:
            context = server_context(self._certificate_file, self._key_file)
        except OSError as fault:
            raise SettingsError(
                f"[receiver_tls] {self._certificate_file} and {self._key_file} are not a certificate with its key: "
                f"{reason_of(fault)}"
            ) from None
        if self._ca_file is not None:
            self._check_callers(context, self._ca_file)
        return context

    def _check_callers(self, context: ssl.SSLContext, ca_file: Path) -> None:
        try:
            check_callers(context, ca_file, require_certificate=self._require)
        except OSError as fault:
            raise SettingsError(
                f"[receiver_tls] ca_file {ca_file} has no valid certificate of an authority: {reason_of(fault)}"
            ) from None
