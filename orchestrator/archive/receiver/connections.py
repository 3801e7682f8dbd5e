"""The open connections of the receiver, and how many of them one sender may have."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable

from orchestrator.archive.protocol.negotiation import Rejection
from orchestrator.archive.receiver.association import Association


class Connections:
    """Connections that wait for an association request, and open associations. Thread-safe.

    maximum_associations: of all senders. maximum_per_sender: of one calling AE title, and of one address; a sender that
    opens associations and stays silent leaves the other places to others.
    maximum_waiting: connections without an association.
    close: closes a connection that another one replaces.
    """

    def __init__(
        self,
        *,
        maximum_associations: int,
        maximum_per_sender: int,
        maximum_waiting: int,
        close: Callable[[socket.socket], object],
    ) -> None:
        self._maximum_associations = maximum_associations
        self._maximum_per_sender = maximum_per_sender
        self._maximum_waiting = maximum_waiting
        self._close = close
        self._lock = threading.Lock()
        self._waiting: dict[socket.socket, str] = {}  # oldest first, with the address of the peer
        self._open: dict[socket.socket, Association] = {}

    def wait(self, connection: socket.socket, address: str) -> None:
        """Add a connection; where too many wait, close the oldest one of the address that has most of them."""
        with self._lock:
            if len(self._waiting) >= self._maximum_waiting:
                ((crowd, _),) = Counter(self._waiting.values()).most_common(1)
                oldest = next(each for each, peer in self._waiting.items() if peer == crowd)
                del self._waiting[oldest]
                self._close(oldest)
            self._waiting[connection] = address

    def open(self, connection: socket.socket, association: Association) -> tuple[Rejection, str] | None:
        """Make it an open association; return the rejection and its reason for the log where a limit is reached."""
        with self._lock:
            reason = self._limit_reached(association)
            if reason:
                return Rejection.LOCAL_LIMIT_EXCEEDED, reason
            self._waiting.pop(connection, None)
            self._open[connection] = association
        return None

    def end(self, connection: socket.socket) -> None:
        """Remove a connection."""
        with self._lock:
            self._waiting.pop(connection, None)
            self._open.pop(connection, None)

    def count(self, calling: str) -> int:
        """Return how many associations of this calling AE title are open."""
        with self._lock:
            return self._count(calling)

    def waiting(self) -> list[socket.socket]:
        """Return the connections without an association."""
        with self._lock:
            return list(self._waiting)

    def associations(self) -> list[tuple[socket.socket, Association]]:
        """Return the open associations with their connections."""
        with self._lock:
            return list(self._open.items())

    def _limit_reached(self, association: Association) -> str:
        limit = f"receiver.maximum_per_sender = {self._maximum_per_sender}"
        if len(self._open) >= self._maximum_associations:
            limit = f"receiver.maximum_associations = {self._maximum_associations}"
            return f"limit of open associations reached ({limit})"
        if self._count(association.calling) >= self._maximum_per_sender:
            return f"limit of open associations of {association.calling} reached ({limit})"
        address = association.sender.address
        if sum(each.sender.address == address for each in self._open.values()) >= self._maximum_per_sender:
            return f"limit of open associations of {address} reached ({limit})"
        return ""

    def _count(self, calling: str) -> int:
        return sum(each.calling == calling for each in self._open.values())
