"""Bounded HTTP requests: no redirects, no proxies, no compressed answers, limits of size and time."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType

import httpx

logging.getLogger("httpx").setLevel(logging.WARNING)  # its log lines quote URLs, and a query may name a patient
logging.getLogger("httpcore").setLevel(logging.WARNING)  # its log lines quote headers, and one has the password

Response = httpx.Response
"""An answer; its body may be unread."""


class HttpFault(Exception):
    """A request failed. The text has no URL and no header: they may name a patient."""


class NotConnected(HttpFault):
    """The peer accepted no connection."""


class ConnectionTimeout(NotConnected):
    """The peer accepted no connection in time."""


class TlsFault(HttpFault):
    """The TLS handshake failed. ``fault``: the reason."""

    def __init__(self, fault: ssl.SSLError) -> None:
        super().__init__(str(fault))
        self.fault = fault


class TooSlow(HttpFault):
    """The answer did not start, continue or end in time."""


class BrokenOff(HttpFault):
    """The connection ended within the answer."""


class Redirected(HttpFault):
    """The peer answers with a redirect, which is never followed."""

    def __init__(self, status: int) -> None:
        super().__init__(f"redirect ({status})")
        self.status = status


class Compressed(HttpFault):
    """The answer is compressed although the request forbids it: the size of a compressed body has no limit."""


class TooLarge(HttpFault):
    """The answer is longer than its limit."""


class HttpClient:
    """Sends requests over connections that are reused until it is closed; a context manager."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None,
        seconds: float,
        connect_seconds: float,
        login: tuple[str, str] | None = None,
    ) -> None:
        """Open no connection yet.

        tls: None where no URL begins with https. seconds: limit for silence of the peer.
        connect_seconds: limit for opening a connection. login: username and password.
        """
        self._has_tls = tls is not None
        self._client = httpx.Client(
            verify=False if tls is None else tls,
            auth=None if login is None else httpx.BasicAuth(*login),
            timeout=httpx.Timeout(seconds, connect=min(seconds, connect_seconds)),
            follow_redirects=False,
            trust_env=False,  # a proxy in the environment would get the data
        )

    def __enter__(self) -> HttpClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    @contextmanager
    def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | Iterable[bytes] | None = None,
    ) -> Iterator[Response]:
        """Yield the answer of any status before its body is read.

        Raises an HttpFault; also within the block, where the body is incomplete.
        Raises ValueError for an https URL without a TLS context.
        """
        if not self._has_tls and not url.startswith("http:"):
            raise ValueError("a URL that does not begin with http: needs a TLS context")
        plain = {"Accept-Encoding": "identity", **headers}
        with _named_faults(), self._client.stream(method, url, headers=plain, content=content) as response:
            if response.is_redirect:
                raise Redirected(response.status_code)
            yield response


def check_plain(response: Response) -> None:
    """Raise Compressed where the body of the answer is compressed."""
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Compressed


def read_body(response: Response, *, largest_bytes: int, deadline: float) -> bytes:
    """Return the body of the answer. deadline: a value of ``time.monotonic()``.

    Raises TooLarge, TooSlow, BrokenOff.
    """
    body = bytearray()
    for piece in response.iter_raw():  # without a piece size, for which httpx would wait
        body += piece
        if len(body) > largest_bytes:
            raise TooLarge
        if time.monotonic() > deadline:
            raise TooSlow("the answer did not end in time")
    return bytes(body)


@contextmanager
def _named_faults() -> Iterator[None]:
    """Turn each fault of httpx into an HttpFault."""
    try:
        yield
    except (httpx.ConnectTimeout, httpx.PoolTimeout):
        raise ConnectionTimeout("no connection in time") from None
    except httpx.TimeoutException:
        raise TooSlow("no answer in time") from None
    except httpx.HTTPError as fault:
        if (tls_fault := _tls_fault(fault)) is not None:
            raise TlsFault(tls_fault) from None
        if isinstance(fault, httpx.ConnectError):
            raise NotConnected(str(fault)) from None
        raise BrokenOff(type(fault).__name__) from None


def _tls_fault(fault: BaseException) -> ssl.SSLError | None:
    """Return the TLS fault that caused a fault of httpx, None for a closed connection or another cause."""
    cause: BaseException | None = fault
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    return None if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError) else cause
