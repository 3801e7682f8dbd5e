"""Requests to an archive over HTTP: its address, its login, and its faults in an administrator's words."""

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
    ConnectionTimeout,
    HttpClient,
    HttpFault,
    NotConnected,
    Packed,
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
"""What stands behind the question mark; a key with several values stands there as often."""

CONNECT_SECONDS = 10.0
LARGEST_ANSWER_BYTES = 64 << 20
_AS_THEY_ARE = "*?,:/"
_LATER: set[int] = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_ADVICE: dict[int, str] = {
    HTTPStatus.BAD_REQUEST: "it does not understand the request",
    HTTPStatus.UNAUTHORIZED: "check username and password_file of this archive in the settings",
    HTTPStatus.FORBIDDEN: "let the user of the settings read and store there",
    HTTPStatus.NOT_FOUND: "check the path in the url of this archive in the settings",
    HTTPStatus.METHOD_NOT_ALLOWED: "it does not offer this service; check the path in the url",
    HTTPStatus.NOT_ACCEPTABLE: "it cannot answer in the format that was asked for",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "let it take larger bodies",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "it does not take what was sent in this format",
    HTTPStatus.NOT_IMPLEMENTED: "it does not offer this service",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How an archive lets this host in.

    ca_file: PEM of the authority that signed its certificate, None for those that the machine trusts.
    certificate_file, key_file: PEM of our own certificate, where it asks for one.
    timeout_seconds: how long one answer may take, and a download may be silent.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    timeout_seconds: float = 30.0


class HttpPeer:
    """The archive at a root address, which begins with http:// or https://."""

    def __init__(self, name: str, root: str, access: Access) -> None:
        self.name = name
        self._root = root.rstrip("/")
        self._access = access

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Yield what asks questions; its connections are kept until the end of the block.

        Raises ArchiveRefused where a file of the settings holds no certificate.
        """
        access = self._access
        with HttpClient(
            tls=self._tls() if self._root.startswith("https:") else None,
            seconds=access.timeout_seconds,
            connect_seconds=CONNECT_SECONDS,
            login=(access.username, access.password) if access.username else None,
        ) as client:
            yield Session(str(self), self._root, client, access.timeout_seconds)

    def __str__(self) -> str:
        return f"archive {self.name!r} ({self._root})"

    def _tls(self) -> ssl.SSLContext:
        access = self._access
        files = TlsFiles(ca_file=access.ca_file, certificate_file=access.certificate_file, key_file=access.key_file)
        try:
            return client_context(files)
        except OSError as fault:
            named = " or ".join(map(str, files.named))
            raise ArchiveRefused(f"{self}: {named} cannot be used for TLS: {fault.strerror or fault}") from None


class Session:
    """Questions to one archive over connections that are kept."""

    def __init__(self, archive: str, root: str, client: HttpClient, timeout_seconds: float) -> None:
        self._archive = archive
        self._root = root
        self._client = client
        self._timeout_seconds = timeout_seconds

    def json(self, method: str, path: str, *, params: Params | None = None, body: object = None) -> Any:
        """Return the answer, read as JSON; None where it is empty.

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        encoded = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json"} | ({} if body is None else {"Content-Type": "application/json"})
        with self.stream(method, path, params=params, headers=headers, content=encoded) as response:
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
        accepted: frozenset[int] = frozenset(),
    ) -> Iterator[Response]:
        """Yield the answer with its body still to come.

        accepted: codes beside 2xx that are an answer too.
        Raises ArchiveUnavailable, ArchiveRefused; within the block, too, where the body does not come to its end.
        """
        address = f"{self._root}{path}{_query(params)}"
        with (
            self._named_faults(),
            self._client.exchange(method, address, headers=headers or {}, content=content) as response,
        ):
            if not response.is_success and response.status_code not in accepted:
                raise self._refusal(response)
            check_plain(response)
            yield response

    def read_json(self, response: Response) -> Any:
        """Return the body, read as JSON; None where it is empty.

        Raises ArchiveUnavailable, ArchiveRefused.
        """
        body = self.read(response)
        if not body.strip():
            return None
        try:
            return json.loads(body.decode())
        except UnicodeDecodeError:
            raise ArchiveRefused(f"{self._archive} answers in another character set than UTF-8") from None
        except (ValueError, RecursionError):
            raise ArchiveRefused(f"{self._archive} answers with what is no JSON; check the path in its url") from None

    def read(self, response: Response) -> bytes:
        """Return the body, which is bounded in size and time.

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
                return ArchiveUnavailable(f"{self._archive} does not take a connection in time")
            case NotConnected():
                return ArchiveUnavailable(f"{self._archive} cannot be reached: {fault}")
            case TooSlow():
                return ArchiveUnavailable(f"{self._archive} does not answer in {self._timeout_seconds:g} s")
            case TlsFault():
                return self._no_tls(fault.fault)
            case Redirected():
                return ArchiveRefused(
                    f"{self._archive} answers with a redirect ({fault.status}), which is never followed: "
                    "write where it is as url"
                )
            case Packed():
                return ArchiveRefused(f"{self._archive} packs its answers though asked not to: switch compression off")
        return ArchiveUnavailable(f"{self._archive} broke the connection off in the middle ({fault})")

    def _no_tls(self, fault: ssl.SSLError) -> ArchiveRefused:
        if isinstance(fault, ssl.SSLCertVerificationError):
            return ArchiveRefused(
                f"{self._archive} shows a certificate that does not hold ({fault.verify_message.rstrip('.')}): "
                "renew it there, or name the authority that signed it as ca_file"
            )
        reason = (fault.reason or "no reason given").replace("_", " ").lower()
        return ArchiveRefused(
            f"{self._archive} agrees on no TLS with this host ({reason}): set certificate_file and key_file to what "
            "it knows this host by, and see that it speaks TLS 1.2 or later on this port"
        )

    def _refusal(self, response: Response) -> ArchiveError:
        code = response.status_code
        if code in _LATER or (code >= HTTPStatus.INTERNAL_SERVER_ERROR and code not in _ADVICE):
            return ArchiveUnavailable(f"{self._archive} answers with {code}{_wished_wait(response)}")
        advice = _ADVICE.get(code)
        return ArchiveRefused(f"{self._archive} answers with {code}" + (f": {advice}" if advice else ""))


def http_date(text: str) -> datetime | None:
    """Return the moment that an HTTP header names (RFC 9110 5.6.7), None where it names none."""
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)  # "-0000": UTC, and no zone is claimed


def _query(params: Params | None) -> str:
    """Return what stands behind a path, with as little encoded as RFC 3986 3.4 asks for.

    Debian 12's Orthanc decodes nothing there: an asterisk that was encoded would be a letter to it.
    """
    return f"?{urlencode(params, doseq=True, safe=_AS_THEY_ARE, quote_via=quote)}" if params else ""


def _wished_wait(response: Response) -> str:
    wait = response.headers.get("Retry-After", "")
    return f" and asks to be left alone for {wait} s" if wait.isascii() and wait.isdigit() else ""
