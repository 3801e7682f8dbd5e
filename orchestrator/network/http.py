"""Bounded HTTP requests: no redirects, no proxies, no packed answers, limits of size and time, faults by name."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType

import httpx

logging.getLogger("httpx").setLevel(logging.WARNING)  # its lines quote addresses, and a query may name a patient
logging.getLogger("httpcore").setLevel(logging.WARNING)  # its lines quote headers, and one holds the password

Response = httpx.Response
"""An answer whose body may still be to come."""


class HttpFault(Exception):
    """A request that got no answer. Its text names neither address nor header: they may name a patient."""


class NotConnected(HttpFault):
    """The peer took no connection."""


class ConnectionTimeout(NotConnected):
    """The peer took no connection in time."""


class TlsFault(HttpFault):
    """The TLS handshake failed; ``fault`` says why."""

    def __init__(self, fault: ssl.SSLError) -> None:
        super().__init__(str(fault))
        self.fault = fault


class TooSlow(HttpFault):
    """The answer did not begin, go on or end in time."""


class BrokenOff(HttpFault):
    """The connection ended in the middle."""


class Redirected(HttpFault):
    """The peer answers with a redirect, which is never followed."""

    def __init__(self, status: int) -> None:
        super().__init__(f"redirect ({status})")
        self.status = status


class Packed(HttpFault):
    """The answer is compressed, though the request asked for none that is: a packed body has no bound."""


class TooLarge(HttpFault):
    """The answer is longer than its limit."""


class HttpClient:
    """Sends requests over connections that are kept until it is closed; a context manager."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None,
        seconds: float,
        connect_seconds: float,
        login: tuple[str, str] | None = None,
    ) -> None:
        """Connect to nothing yet.

        tls: None where no address begins with https. seconds: how long the peer may be silent.
        connect_seconds: how long a connection may take. login: username and password.
        """
        self._has_tls = tls is not None
        self._client = httpx.Client(
            verify=False if tls is None else tls,
            auth=None if login is None else httpx.BasicAuth(*login),
            timeout=httpx.Timeout(seconds, connect=min(seconds, connect_seconds)),
            follow_redirects=False,
            trust_env=False,  # a proxy that the environment names is another place
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
        """Yield the answer, whatever its status, with its body still to come.

        Raises an HttpFault; within the block, too, where the body does not come to its end.
        Raises ValueError for an address under TLS of which no certificate would be checked.
        """
        if not self._has_tls and not url.startswith("http:"):
            raise ValueError("an address that does not begin with http: needs a TLS context")
        plain = {"Accept-Encoding": "identity", **headers}
        with _named_faults(), self._client.stream(method, url, headers=plain, content=content) as response:
            if response.is_redirect:
                raise Redirected(response.status_code)
            yield response


def check_plain(response: Response) -> None:
    """Raise Packed where the body of the answer is compressed."""
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Packed


def read_body(response: Response, *, largest_bytes: int, deadline: float) -> bytes:
    """Return the body of the answer. deadline: of ``time.monotonic()``.

    Raises TooLarge, TooSlow, BrokenOff.
    """
    body = bytearray()
    for piece in response.iter_raw():  # as it comes: pieces of a size would be waited for
        body += piece
        if len(body) > largest_bytes:
            raise TooLarge
        if time.monotonic() > deadline:
            raise TooSlow("the answer did not end in time")
    return bytes(body)


@contextmanager
def _named_faults() -> Iterator[None]:
    """Raise an HttpFault for each fault of httpx."""
    try:
        yield
    except (httpx.ConnectTimeout, httpx.PoolTimeout):
        raise ConnectionTimeout("no connection in time") from None
    except httpx.TimeoutException:
        raise TooSlow("no answer in time") from None
    except httpx.HTTPError as fault:
        if (refused := _tls_fault(fault)) is not None:
            raise TlsFault(refused) from None
        if isinstance(fault, httpx.ConnectError):
            raise NotConnected(str(fault)) from None
        raise BrokenOff(type(fault).__name__) from None


def _tls_fault(fault: BaseException) -> ssl.SSLError | None:
    """Return the fault of TLS behind httpx's, None where the connection just ended or TLS is not why."""
    cause: BaseException | None = fault
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    return None if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError) else cause
