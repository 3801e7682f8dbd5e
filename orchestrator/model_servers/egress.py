"""The one way out: nothing leaves but to a place that the settings allow, and not before it is recorded."""

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
"""Takes (subject, text) of one line of the audit trail; what it raises keeps the parcel here."""

CONNECT_SECONDS = 5.0
PIECE = 1 << 20

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """A row of ``[[egress]]``: where something may go to, what it may be and until when.

    expires: the last day on which it may; ca_file: PEM of the authority that signed the place's certificate.
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
    """One request that is to leave.

    subject: the job or model that it is for; content: its body in pieces, without any patient data.
    seconds: for the whole answer; largest_reply: in bytes.
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
    """What came back; the names of ``headers`` are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Egress:
    """The exits of this host; safe to be used by several threads."""

    def __init__(self, exits: Sequence[Exit], record: Record) -> None:
        self._exits = tuple(exits)
        self._record = record

    def permit(self, url: str, kind: Kind, profile: Profile) -> Exit:
        """Return the exit that lets such a thing go to that place; nothing is sent.

        Raises EgressRefused, naming the setting to add or to renew.
        """
        ways = [way for way in self._exits if (way.kind, way.profile) == (kind, profile) and _covers(way.url, url)]
        for way in ways:
            if way.expires is None or date.today() <= way.expires:
                return way
        if ways:
            raise EgressRefused(f"[[egress]] {ways[0].name!r} ended with {ways[0].expires}; renew its expires")
        raise EgressRefused(
            f"nothing may leave for {_place(url)}; to allow it add to the settings: "
            f'[[egress]] name = "...", url = "{_place(url)}", kind = "{kind}", profile = "{profile}", purpose = "..."'
        )

    def send(self, parcel: Parcel) -> Reply:
        """Return the answer to a parcel that is allowed to leave and is on record; redirects are not followed.

        Raises EgressRefused, RemoteUnavailable, RemoteTimeout, or RemoteFailed for a redirect or too large a reply.
        """
        from orchestrator.network.http import HttpClient, HttpFault  # 0.1 s, which a host without model servers saves

        way = self.permit(parcel.url, parcel.kind, parcel.profile)
        self._record(parcel.subject, _written(parcel, way))
        deadline = time.monotonic() + parcel.seconds
        try:
            with (
                HttpClient(tls=_tls(way.ca_file), seconds=parcel.seconds, connect_seconds=CONNECT_SECONDS) as client,
                client.exchange(
                    parcel.method, parcel.url, headers=_headers(parcel), content=_pieces(parcel)
                ) as response,
            ):
                return _reply(response, parcel, deadline)
        except HttpFault as fault:
            raise _named(fault, way, parcel) from fault


def _covers(allowed: str, url: str) -> bool:
    """Whether the URL has the same scheme, host and port, and a path at or below the one allowed."""
    ours, theirs = urlsplit(allowed), urlsplit(url)
    if _address(allowed) != _address(url) or theirs.username or {".", ".."} & set(theirs.path.split("/")):
        return False
    root = ours.path.rstrip("/")
    return theirs.path.rstrip("/") == root or theirs.path.startswith(f"{root}/")


def _address(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _written(parcel: Parcel, way: Exit) -> str:
    """Return the line of the audit trail: what leaves for where and why, as a digest only."""
    digest, size = hashlib.sha256(), 0
    for piece in parcel.content:
        digest.update(piece)
        size += len(piece)
    what = f"{size} bytes ({parcel.profile}, sha256 {digest.hexdigest()})" if size else "nothing but a question"
    return f"{parcel.method} {parcel.url} to {way.name} ({parcel.kind}: {way.purpose}) takes {what}"


def _headers(parcel: Parcel) -> dict[str, str]:
    length = {"Content-Length": str(sum(map(len, parcel.content)))} if parcel.method == "POST" else {}
    return {**length, **parcel.headers}


def _pieces(parcel: Parcel) -> Iterator[bytes] | None:
    if not parcel.content:
        return None
    views = (memoryview(part) for part in parcel.content)
    return (bytes(view[start : start + PIECE]) for view in views for start in range(0, len(view), PIECE))


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    """Return what checks certificates against that authority alone, or against the machine's.

    Raises EgressRefused where the file holds none.
    """
    try:
        return client_context(TlsFiles(ca_file=ca_file))
    except OSError as fault:
        raise EgressRefused(f"ca_file {ca_file} of [[egress]] is no certificate that can be read: {fault}") from None


def _reply(response: Response, parcel: Parcel, deadline: float) -> Reply:
    from orchestrator.network.http import check_plain, read_body

    body = read_body(response, largest_bytes=parcel.largest_reply, deadline=deadline)
    check_plain(response)
    return Reply(response.status_code, dict(response.headers), body)


def _named(fault: HttpFault, way: Exit, parcel: Parcel) -> RemoteFailed | RemoteTimeout | RemoteUnavailable:
    """Return the fault in an administrator's words."""
    from orchestrator.network import http

    match fault:
        case http.ConnectionTimeout():
            return RemoteUnavailable(f"{way.name} does not take a connection within {CONNECT_SECONDS:g} s")
        case http.TooSlow():
            return RemoteTimeout(f"{way.name} did not answer within {parcel.seconds:g} s")
        case http.Redirected():
            return RemoteFailed(f"{way.name} answers with a redirect ({fault.status}), which is never followed")
        case http.TooLarge():
            return RemoteFailed(f"{way.name} answers with more than {parcel.largest_reply >> 20} MiB")
        case http.Packed():
            return RemoteFailed(f"{way.name} packs its answer, though it was asked not to")
    # refused, reset, no such name, a certificate that does not hold
    return RemoteUnavailable(f"{way.name} cannot be reached at {_place(parcel.url)}: {fault}")
