"""What the receiver shows to callers under TLS and whom it believes."""

from __future__ import annotations

import logging
import socket
import ssl
from pathlib import Path

from orchestrator.domain.errors import SettingsError
from orchestrator.network.tls import check_callers, file_state, reason_of, server_context

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
        return tuple(file_state(file) for file in files if file is not None)

    def _read(self) -> ssl.SSLContext:
        try:
            context = server_context(self._certificate_file, self._key_file)
        except OSError as fault:
            raise SettingsError(
                f"[receiver_tls] {self._certificate_file} and {self._key_file} are no certificate with its key: "
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
                f"[receiver_tls] {ca_file} holds no authority's certificate: {reason_of(fault)}"
            ) from None
