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

    ca_file: PEM of the authority that signed the peer's, None for those that the machine trusts.
    certificate_file, key_file: PEM of our own, for a peer that asks for one.
    """

    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    @property
    def named(self) -> tuple[Path, ...]:
        """The files that are set."""
        return tuple(path for path in (self.ca_file, self.certificate_file, self.key_file) if path is not None)


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """Return what checks peers and shows our certificate; a file that changes is read again.

    Raises OSError where a file is missing or holds no certificate.
    """
    return _client_context(files, tuple(map(file_state, files.named)))


def prepared_client(context: _Context, files: TlsFiles) -> _Context:
    """Return the client context of a class of its own, made ready to check peers and to show our certificate.

    Raises OSError where a file is missing or holds no certificate.
    """
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CLIENT_CIPHERS)
    context.check_hostname = True
    context.verify_mode = ssl.CERT_REQUIRED
    if sys.version_info >= (3, 13):  # what ssl.create_default_context checks from then on
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    if files.ca_file is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        context.load_verify_locations(files.ca_file)
    if files.certificate_file is not None:
        _show(context, files.certificate_file, files.key_file)
    return context


def server_context(certificate_file: Path, key_file: Path) -> ssl.SSLContext:
    """Return what shows our certificate to callers; it asks for none of theirs.

    Raises OSError where a file is missing, or they are no certificate with its key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(SERVER_CIPHERS)
    # no session outlives what its certificate was checked against
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 0
    # an end without goodbye is not mistaken for the end of anything: PDUs have lengths, associations a release
    context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF
    _show(context, certificate_file, key_file)
    return context


def check_callers(context: ssl.SSLContext, ca_file: Path, *, require_certificate: bool) -> None:
    """Let the server check the certificates of callers against the authority; they must show one, or may.

    Raises OSError where the file is missing or holds no certificate.
    """
    context.load_verify_locations(ca_file)
    context.verify_mode = ssl.CERT_REQUIRED if require_certificate else ssl.CERT_OPTIONAL


def file_state(file: Path) -> _FileState | None:
    """Return what changes when the file does, None where it is missing."""
    try:
        state = file.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino


def reason_of(fault: Exception) -> str:
    """Return in short what went wrong with a certificate or handshake, without what it was about."""
    if isinstance(fault, ssl.SSLCertVerificationError):
        return fault.verify_message
    if isinstance(fault, ssl.SSLError):
        return (fault.reason or "no TLS").replace("_", " ").lower()
    return fault.strerror or type(fault).__name__ if isinstance(fault, OSError) else type(fault).__name__


@lru_cache(maxsize=64)
def _client_context(files: TlsFiles, _states: tuple[_FileState | None, ...]) -> ssl.SSLContext:
    return prepared_client(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), files)


def _show(context: ssl.SSLContext, certificate_file: Path, key_file: Path | None) -> None:
    try:
        context.load_cert_chain(certificate_file, key_file, password=_no_password)
    except ValueError as fault:  # a key with a password, of which OpenSSL says nothing more
        raise OSError(f"no certificate with its key ({fault})") from None


def _no_password() -> str:
    """Return an empty password: OpenSSL would ask for it at the terminal."""
    return ""
