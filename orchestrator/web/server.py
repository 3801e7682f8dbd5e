"""The web server: loopback only; shuts down without waiting for open event streams."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

import uvicorn
from fastapi import FastAPI

from orchestrator.domain.errors import UserError


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

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the event streams, then the connections."""
        self._closing.set()
        await super().shutdown(sockets)


def serve(app: FastAPI, *, host: str = "127.0.0.1", port: int = 8080) -> None:
    """Serve until the process is stopped; raises UserError for an address beyond this machine."""
    Server(app, host=host, port=port).run()


def _loopback(host: str) -> None:
    if host == "localhost":
        return
    try:
        if ipaddress.ip_address(host).is_loopback:
            return
    except ValueError:
        pass
    raise UserError(f"the pages have no login yet: use 127.0.0.1 or ::1 as their address, not {host}")
