"""HTTP requests to an archive: address, login, and error messages for administrators."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from orchestrator.domain.errors import ArchiveError, ArchiveRefused, ArchiveUnavailable
from orchestrator.network.http import (
    Compressed,
    ConnectionTimeout,
    HttpClient,
    HttpFault,
    NotConnected,
    Redirected,
    Response,
    TlsFault,
    TooLarge,
    TooSlow,
    check_plain,
    read_body,
)
from orchestrator.network.tls import TlsFiles, client_context

Params = Mapping[str, str | int | Sequence[str]]
"""Query parameters; a key with several values is repeated."""

CONNECT_SECONDS = 10.0
LARGEST_ANSWER_BYTES = 64 << 20
_UNESCAPED = "*?,:/"
_RETRY_LATER: set[int] = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_ADVICE: dict[int, str] = {
    HTTPStatus.BAD_REQUEST: "the archive does not understand the request",
    HTTPStatus.UNAUTHORIZED: "check username and password_file of this archive in the settings",
    HTTPStatus.FORBIDDEN: "allow the user in the settings to read and store in the archive",
    HTTPStatus.NOT_FOUND: "check the path in the url of this archive in the settings",
    HTTPStatus.METHOD_NOT_ALLOWED: "the archive does not offer this service; check the path in the url",
    HTTPStatus.NOT_ACCEPTABLE: "the archive cannot answer in the requested format",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "raise the archive's limit for request bodies",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "the archive does not accept objects in this format",
    HTTPStatus.NOT_IMPLEMENTED: "the archive does not offer this service",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Login and TLS files for an archive.

    ca_file: PEM of the authority that signed the archive's certificate, None = authorities that the machine trusts.
    certificate_file, key_file: PEM of this host's certificate, for an archive that requires one.
    timeout_seconds: limit for an answer, and for silence within a download.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    timeout_seconds: float = 30.0


class HttpPeer:
    """The archive at a root URL, which begins with http:// or https://."""

    def __init__(self, name: str, root: str, access: Access) -> None:
        self.name = name
        self._root = root.rstrip("/")
        self._access = access

    @contextmanager
    def session(self) -> Iterator[HttpSession]:
        """Yield a session; its connections are reused until the end of the block.

        Raises ArchiveRefused where a file in the settings has no valid certificate.
        """
        access = self._access
        with HttpClient(
            tls=self._tls() if self._root.startswith("https:") else None,
            seconds=access.timeout_seconds,
            connect_seconds=CONNECT_SECONDS,
            login=(access.username, access.password) if access.username else None,
        ) as client:
            yield HttpSession(str(self), self._root, client, access.timeout_seconds)

    def __str__(self) -> str:
        return f"archive {self.name!r} ({self._root})"

    def _tls(self) -> ssl.SSLContext:
        access = self._access
        files = TlsFiles(ca_file=access.ca_file, certificate_file=access.certificate_file, key_file=access.key_file)
        try:
            return client_context(files)
        except OSError as fault:
            paths = " or ".join(map(str, files.paths))
            raise ArchiveRefused(f"{self}: {paths} cannot be used for TLS: {fault.strerror or fault}") from None


class HttpSession:
    """Requests to one archive over connections that are reused."""

    def __init__(self, archive: str, root: str, client: HttpClient, timeout_seconds: float) -> None:
        self._archive = archive
        self._root = root
        self._client = client
        self._timeout_seconds = timeout_seconds

    def json(self, method: str, path: str, *, params: Params | None = None, body: object = None) -> Any:
        """Return the answer, parsed as JSON; None where it is empty.

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        content = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json"} | ({} if body is None else {"Content-Type": "application/json"})
        with self.stream(method, path, params=params, headers=headers, content=content) as response:
            return self.read_json(response)

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | Iterable[bytes] | None = None,
        other_codes: frozenset[int] = frozenset(),
    ) -> Iterator[Response]:
        """Yield the answer before its body is read.

        other_codes: status codes that are valid answers beside 2xx.
        Raises ArchiveUnavailable, ArchiveRefused; also within the block, where the body is incomplete.
        """
        address = f"{self._root}{path}{_query(params)}"
        with (
            self._named_faults(),
            self._client.exchange(method, address, headers=headers or {}, content=content) as response,
        ):
            if not response.is_success and response.status_code not in other_codes:
                raise self._refusal(response)
            check_plain(response)
            yield response

    def read_json(self, response: Response) -> Any:
        """Return the body, parsed as JSON; None where it is empty.

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        body = self.read(response)
        if not body.strip():
            return None
        try:
            return json.loads(body.decode())
        except UnicodeDecodeError:
            raise ArchiveRefused(f"{self._archive} answers in a character set other than UTF-8") from None
        except (ValueError, RecursionError):
            raise ArchiveRefused(f"{self._archive} does not answer with JSON; check the path in its url") from None

    def read(self, response: Response) -> bytes:
        """Return the body, with a limit of size and time.

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        deadline = time.monotonic() + self._timeout_seconds
        try:
            return read_body(response, largest_bytes=LARGEST_ANSWER_BYTES, deadline=deadline)
        except TooLarge:
            raise ArchiveRefused(f"{self._archive} answers with more than {LARGEST_ANSWER_BYTES >> 20} MiB") from None
        except TooSlow:
            raise ArchiveUnavailable(f"{self._archive} did not end its answer in {self._timeout_seconds:g} s") from None

    @contextmanager
    def _named_faults(self) -> Iterator[None]:
        """Raise an ArchiveError for each fault of a request."""
        try:
            yield
        except HttpFault as fault:
            raise self._named(fault) from None

    def _named(self, fault: HttpFault) -> ArchiveError:
        match fault:
            case ConnectionTimeout():
                return ArchiveUnavailable(f"{self._archive} does not accept a connection in {CONNECT_SECONDS:g} s")
            case NotConnected():
                return ArchiveUnavailable(f"{self._archive} cannot be reached: {fault}")
            case TooSlow():
                return ArchiveUnavailable(f"{self._archive} does not answer in {self._timeout_seconds:g} s")
            case TlsFault():
                return self._explain_tls(fault.fault)
            case Redirected():
                return ArchiveRefused(
                    f"{self._archive} answers with a redirect ({fault.status}), and redirects are not followed: "
                    "set url to the address that it redirects to"
                )
            case Compressed():
                return ArchiveRefused(
                    f"{self._archive} compresses answers although the request forbids it: switch compression off there"
                )
        return ArchiveUnavailable(f"{self._archive} closed the connection within an answer ({fault})")

    def _explain_tls(self, fault: ssl.SSLError) -> ArchiveRefused:
        if isinstance(fault, ssl.SSLCertVerificationError):
            return ArchiveRefused(
                f"{self._archive} has an invalid certificate ({fault.verify_message.rstrip('.')}): "
                "renew it there, or set ca_file to the authority that signed it"
            )
        reason = (fault.reason or "no reason given").replace("_", " ").lower()
        return ArchiveRefused(
            f"{self._archive}: TLS handshake failed ({reason}): set certificate_file and key_file to a certificate "
            "that the archive accepts, and check that it speaks TLS 1.2 or later on this port"
        )

    def _refusal(self, response: Response) -> ArchiveError:
        code = response.status_code
        if code in _RETRY_LATER or (code >= HTTPStatus.INTERNAL_SERVER_ERROR and code not in _ADVICE):
            return ArchiveUnavailable(f"{self._archive} answers with {code}{_retry_after(response)}")
        advice = _ADVICE.get(code)
        return ArchiveRefused(f"{self._archive} answers with {code}" + (f": {advice}" if advice else ""))


def http_date(text: str) -> datetime | None:
    """Return the time in an HTTP header (RFC 9110 5.6.7), None where it is invalid."""
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)  # "-0000": UTC, and no zone is claimed


def _query(params: Params | None) -> str:
    """Return the query string of a URL, with as few characters escaped as RFC 3986 3.4 requires.

    Debian 12's Orthanc does not decode escapes: it would not recognise an escaped asterisk as a wildcard.
    """
    return f"?{urlencode(params, doseq=True, safe=_UNESCAPED, quote_via=quote)}" if params else ""


def _retry_after(response: Response) -> str:
    wait = response.headers.get("Retry-After", "")
    return f" (retry after {wait} s)" if wait.isascii() and wait.isdigit() else ""
