"""The web server: loopback only; shuts down without waiting for open event streams."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import uvicorn
from fastapi import FastAPI

from orchestrator.domain.errors import OrchestratorError, UserError

log = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """A uvicorn server that closes open event streams first; they would block the shutdown."""

    def __init__(self, app: FastAPI, *, host: str = "127.0.0.1", port: int = 8080) -> None:
        _loopback(host)
        self._closing: asyncio.Event = app.state.site.closing
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                log_config=None,  # the process has its own logging
                access_log=False,  # addresses of pages hold UIDs, and the audit trail is the ledger
                server_header=False,
                ws="none",
                timeout_graceful_shutdown=5,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and then say where."""
        await super().startup(sockets)
        if self.started:
            log.info("review page: http://localhost:%d/", self.config.port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the event streams, then the connections."""
        self._closing.set()
        await super().shutdown(sockets)


def serve(app: FastAPI, *, host: str = "127.0.0.1", port: int = 8080) -> None:
    """Serve until the process is stopped.

    Raises UserError for an address beyond this machine, OrchestratorError where the port cannot be listened on.
    """
    server = Server(app, host=host, port=port)
    with ExitStack() as stack:
        try:
            listeners = [stack.enter_context(listener) for listener in _listeners(host, port)]
        except OSError as fault:
            reason = os.strerror(fault.errno or 0)
            raise OrchestratorError(
                f"the review page cannot listen on {host} port {port} ({reason}); check [web] host and port"
            ) from None
        server.run(listeners)


def _listeners(host: str, port: int) -> Iterator[socket.socket]:
    """Yield a listening socket for each address of the name: localhost has one of IPv4 and one of IPv6."""
    for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
        yield socket.create_server(address, family=family)


def _loopback(host: str) -> None:
    if host == "localhost":
        return
    try:
        if ipaddress.ip_address(host).is_loopback:
            return
    except ValueError:
        pass
    raise UserError(f"the pages have no login yet: use 127.0.0.1 or ::1 as their address, not {host}")
