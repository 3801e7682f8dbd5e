"""Egress: sends requests only to places that the settings allow, and records each one in the audit trail first."""

from __future__ import annotations

import hashlib
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from orchestrator.domain.errors import EgressRefused, RemoteFailed, RemoteTimeout, RemoteUnavailable
from orchestrator.network.tls import TlsFiles, client_context

if TYPE_CHECKING:
    from orchestrator.network.http import HttpFault, Response

Kind = Literal["inference"]
Profile = Literal["voxels"]
Record = Callable[[str, str], object]
"""Records one line (subject, text) in the audit trail; if it raises, the request is not sent."""

CONNECT_SECONDS = 5.0
PIECE = 1 << 20

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """One ``[[egress]]`` table: where requests may go, with which content and until when.

    expires: the last day; ca_file: PEM file of the authority that signed the server's certificate.
    """

    name: str
    url: str
    purpose: str
    kind: Kind = "inference"
    profile: Profile = "voxels"
    expires: date | None = None
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One request to send.

    subject: its job or model; content: the body in pieces, without patient data.
    seconds: limit for the whole answer; largest_reply: in bytes.
    """

    url: str
    kind: Kind
    profile: Profile
    subject: str
    method: Literal["GET", "POST"] = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    content: Sequence[bytes | memoryview] = ()
    seconds: float
    largest_reply: int


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a request; names of ``headers`` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Egress:
    """The exits of this host; several threads may use it."""

    def __init__(self, exits: Sequence[Exit], record: Record) -> None:
        self._exits = tuple(exits)
        self._record = record

    def permit(self, url: str, kind: Kind, profile: Profile) -> Exit:
        """Return the exit that allows this content to be sent to the URL; sends nothing.

        Raises EgressRefused that names the setting to add or renew.
        """
        exits = [exit_ for exit_ in self._exits if (exit_.kind, exit_.profile) == (kind, profile)]
        matches = [exit_ for exit_ in exits if _covers(exit_.url, url)]
        for match in matches:
            if match.expires is None or date.today() <= match.expires:
                return match
        if matches:
            raise EgressRefused(f"[[egress]] {matches[0].name!r} expired on {matches[0].expires}; set a later expires")
        raise EgressRefused(
            f"the settings do not allow requests to {_place(url)}; to allow them add: "
            f'[[egress]] name = "...", url = "{_place(url)}", kind = "{kind}", profile = "{profile}", purpose = "..."'
        )

    def send(self, parcel: Parcel) -> Reply:
        """Check, record and send a request, and return the answer; redirects are not followed.

        Raises EgressRefused, RemoteUnavailable, RemoteTimeout, or RemoteFailed for a redirect or too large a reply.
        """
        from orchestrator.network.http import (
            HttpClient,
            HttpFault,
        )  # imported late: takes 0.1 s, and few hosts have model servers

        exit_ = self.permit(parcel.url, parcel.kind, parcel.profile)
        self._record(parcel.subject, _audit_line(parcel, exit_))
        deadline = time.monotonic() + parcel.seconds
        try:
            with (
                HttpClient(tls=_tls(exit_.ca_file), seconds=parcel.seconds, connect_seconds=CONNECT_SECONDS) as client,
                client.exchange(
                    parcel.method, parcel.url, headers=_headers(parcel), content=_pieces(parcel)
                ) as response,
            ):
                return _reply(response, parcel, deadline)
        except HttpFault as fault:
            raise _error(fault, exit_, parcel) from fault


def _covers(base: str, url: str) -> bool:
    """Return whether the URL has the scheme, host and port of the base, and a path at or below its path."""
    root, target = urlsplit(base).path.rstrip("/"), urlsplit(url)
    if _address(base) != _address(url) or target.username or {".", ".."} & set(target.path.split("/")):
        return False
    return target.path.rstrip("/") == root or target.path.startswith(f"{root}/")


def _address(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _audit_line(parcel: Parcel, exit_: Exit) -> str:
    """Return the line of the audit trail: what is sent where and why; the content appears as a digest only."""
    digest, size = hashlib.sha256(), 0
    for piece in parcel.content:
        digest.update(piece)
        size += len(piece)
    content = f"{size} bytes ({parcel.profile}, sha256 {digest.hexdigest()})" if size else "no content"
    return f"{parcel.method} {parcel.url} to {exit_.name} ({parcel.kind}: {exit_.purpose}) sends {content}"


def _headers(parcel: Parcel) -> dict[str, str]:
    length = {"Content-Length": str(sum(map(len, parcel.content)))} if parcel.method == "POST" else {}
    return {**length, **parcel.headers}


def _pieces(parcel: Parcel) -> Iterator[bytes] | None:
    if not parcel.content:
        return None
    views = (memoryview(part) for part in parcel.content)
    return (bytes(view[start : start + PIECE]) for view in views for start in range(0, len(view), PIECE))


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    """Return a TLS context that trusts this authority only, or those of the machine.

    Raises EgressRefused for a file without certificates.
    """
    try:
        return client_context(TlsFiles(ca_file=ca_file))
    except OSError as fault:
        raise EgressRefused(f"ca_file {ca_file} of [[egress]] is not a readable certificate: {fault}") from None


def _reply(response: Response, parcel: Parcel, deadline: float) -> Reply:
    from orchestrator.network.http import check_plain, read_body

    body = read_body(response, largest_bytes=parcel.largest_reply, deadline=deadline)
    check_plain(response)
    return Reply(response.status_code, dict(response.headers), body)


def _error(fault: HttpFault, exit_: Exit, parcel: Parcel) -> RemoteFailed | RemoteTimeout | RemoteUnavailable:
    """Return the error for a fault of HTTP, in words for an administrator."""
    from orchestrator.network import http

    match fault:
        case http.ConnectionTimeout():
            return RemoteUnavailable(f"{exit_.name} did not accept a connection within {CONNECT_SECONDS:g} s")
        case http.TooSlow():
            return RemoteTimeout(f"{exit_.name} did not answer within {parcel.seconds:g} s")
        case http.Redirected():
            return RemoteFailed(f"{exit_.name} answered with a redirect ({fault.status}), which is never followed")
        case http.TooLarge():
            return RemoteFailed(f"{exit_.name} answered with more than {parcel.largest_reply >> 20} MiB")
        case http.Compressed():
            return RemoteFailed(f"{exit_.name} compressed its answer, which the request forbids")
    # refused, reset, unknown host name, invalid certificate
    return RemoteUnavailable(f"{exit_.name} at {_place(parcel.url)} is unreachable: {fault}")
