"""TLS contexts of clients and servers: BCP 195 with RFC 8996 and RFC 9325 (PS3.15 B.12).

TLS 1.2 with cipher suites that RFC 9325 recommends, or TLS 1.3. A client always checks certificate and name.
"""

from __future__ import annotations

import ssl
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

CLIENT_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2 (RFC 9325 4.2); all suites of TLS 1.3 are good."""
SERVER_CIPHERS = "ECDHE+AESGCM"
"""Of TLS 1.2 (RFC 9325 4.2); all suites of TLS 1.3 are good."""

_Context = TypeVar("_Context", bound=ssl.SSLContext)
_FileState = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Certificates for connections to one peer.

    ca_file: PEM of the authority that signed the peer's certificate, None = authorities that the machine trusts.
    certificate_file, key_file: PEM of this host's certificate, for a peer that requires one.
    """

    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files that are set."""
        return tuple(path for path in (self.ca_file, self.certificate_file, self.key_file) if path is not None)


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """Return the context of a client, with the certificate of this host; a file that changes is read again.

    Raises OSError where a file is missing or has no certificate.
    """
    return _client_context(files, tuple(map(file_state, files.paths)))


def set_up_client(context: _Context, files: TlsFiles) -> _Context:
    """Set up a client context of any class and return it (see ``client_context``).

    Raises OSError where a file is missing or has no certificate.
    """
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CLIENT_CIPHERS)
    context.check_hostname = True
    context.verify_mode = ssl.CERT_REQUIRED
    if sys.version_info >= (3, 13):  # as ssl.create_default_context does since then
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    if files.ca_file is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        context.load_verify_locations(files.ca_file)
    if files.certificate_file is not None:
        _load_certificate(context, files.certificate_file, files.key_file)
    return context


def server_context(certificate_file: Path, key_file: Path) -> ssl.SSLContext:
    """Return the context of a server with this host's certificate; it requests no certificate of callers.

    Raises OSError where a file is missing, or the files are not a certificate with its key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(SERVER_CIPHERS)
    # no session resumption: each connection checks its certificate against the current files
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 0
    # EOF without close_notify is harmless: PDUs have lengths, and associations end by release
    context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF
    _load_certificate(context, certificate_file, key_file)
    return context


def check_callers(context: ssl.SSLContext, ca_file: Path, *, require_certificate: bool) -> None:
    """Let the server verify the certificates of callers; callers may send one, or must with ``require_certificate``.

    Raises OSError where the file is missing or has no certificate.
    """
    context.load_verify_locations(ca_file)
    context.verify_mode = ssl.CERT_REQUIRED if require_certificate else ssl.CERT_OPTIONAL


def file_state(file: Path) -> _FileState | None:
    """Return a value that changes when the file changes, None where the file is missing."""
    try:
        state = file.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino


def reason_of(fault: Exception) -> str:
    """Return a short reason for a fault of a certificate or handshake, without file names and peers."""
    if isinstance(fault, ssl.SSLCertVerificationError):
        return fault.verify_message
    if isinstance(fault, ssl.SSLError):
        return (fault.reason or "no TLS").replace("_", " ").lower()
    return fault.strerror or type(fault).__name__ if isinstance(fault, OSError) else type(fault).__name__


@lru_cache(maxsize=64)
def _client_context(files: TlsFiles, _states: tuple[_FileState | None, ...]) -> ssl.SSLContext:
    return set_up_client(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), files)


def _load_certificate(context: ssl.SSLContext, certificate_file: Path, key_file: Path | None) -> None:
    try:
        context.load_cert_chain(certificate_file, key_file, password=_no_password)
    except ValueError as fault:  # a key with a password; OpenSSL gives no details
        raise OSError(f"not a certificate with its key ({fault})") from None


def _no_password() -> str:
    """Return an empty password, because OpenSSL would ask for one on the terminal."""
    return ""
