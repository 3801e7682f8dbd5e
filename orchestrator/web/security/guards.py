"""What every request passes first: the Host header, the sender's site and the size; and the headers of every answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
LARGEST_BODY: Final = 64 * 1024  # a verdict with its comment is under 3 KiB
STREAMED: Final = "/dicom-web/studies"
"""Under this path bodies have any size: they go to disk as they come, and a full disk ends them."""

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PROTECTION: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # not no-referrer: browsers then send "Origin: null" with our own forms
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST: Final = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::\d{1,5})?")


class Guards:
    """ASGI middleware that refuses what no page of ours sends, and protects every answer."""

    def __init__(self, app: ASGIApp, *, hosts: Collection[str], refuse: Callable[[int, str], Response]) -> None:
        self._app = app
        self._hosts = frozenset(hosts)
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or let the pages answer it."""
        if scope["type"] != "http":  # lifespan; there are no websockets
            await self._app(scope, receive, send)
            return
        fault = self._fault(scope["method"], scope["path"], Headers(scope=scope))
        target = self._refuse(*fault) if fault else self._app
        await target(scope, receive, _protected(send))

    def _fault(self, method: str, path: str, headers: Headers) -> tuple[int, str] | None:
        if host_name(headers.get("host", "")) not in self._hosts:
            return 421, "This server answers only under its own names. Open it as http://localhost."
        if method in SAFE:
            return None
        if not _from_here(headers):
            return 403, "This request came from another site. Nothing was changed."
        if path == STREAMED or path.startswith(f"{STREAMED}/"):
            return None
        length = headers.get("content-length", "")
        if not length.isdecimal():
            return 411, "The size of the request is missing. Nothing was changed."
        if int(length) > LARGEST_BODY:
            return 413, "The request is too large. Nothing was changed."
        return None


def host_name(host: str) -> str:
    """Return the name in a Host header, "" where it is malformed.

    The port is not compared: a tunnel or container may publish another one, and only the name tells a
    rebound DNS entry from us.
    """
    match = _HOST.fullmatch(host)
    return match["name"].lower() if match else ""


def _from_here(headers: Headers) -> bool:
    """Return True unless a browser says that another site sent this.

    SameSite cookies do not stop another port of this machine; Sec-Fetch-Site does. A client that sends
    neither header is no browser and cannot be made to act for a visitor.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site != "same-origin":
        return False
    return origin is None or origin in {f"http://{headers['host']}", f"https://{headers['host']}"}


def _protected(send: Send) -> Send:
    async def protect(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            # the viewer brings a policy of its own
            for name, value in {**PROTECTION, "Cache-Control": "no-store"}.items():
                headers.setdefault(name, value)
        await send(message)

    return protect
