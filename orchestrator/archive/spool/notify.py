"""Notifications between processes of one installation, so that the engine need not poll the spool.

A notification may be lost: nobody listens, or the listener is too slow. The scan of the spool then finds the file.
Sending never waits and never fails.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from orchestrator.archive.spool.arrival import Announced, Arrival, Closed, Notification

_DATAGRAM_BYTES = 64 << 10


class Notifier:
    """Sends notifications to the process that listens at a path."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def notify(self, notification: Notification) -> bool:
        """Return True where a listener will receive the notification."""
        try:
            with _ShortAddress(self._path) as address:
                self._socket.sendto(_encode(notification), address)
        except OSError:  # nobody listens, or the listener is too slow
            return False
        return True

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class Listener:
    """Receives notifications; each path has one listener, the newest.

    A thread empties the socket: the kernel keeps only ten datagrams (net.unix.max_dgram_qlen), and more images than
    that arrive while the engine is busy with one series.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path.unlink(missing_ok=True)
        with _ShortAddress(path) as address:
            self._socket.bind(address)
        path.chmod(0o600)
        self._inode = path.stat().st_ino
        self._queue: Queue[Notification] = Queue()  # a SimpleQueue may wait for ever once a signal interrupts it
        self._closed = False
        self._thread = threading.Thread(target=self._listen, name="notifications", daemon=True)
        self._thread.start()

    def receive(self, timeout_seconds: float) -> Iterator[Notification]:
        """Yield the next notification and those queued behind it; nothing where none comes in time."""
        with suppress(Empty):
            yield self._queue.get(timeout=timeout_seconds)
            for _ in range(self._queue.qsize()):  # without those that come meanwhile: they may never end
                yield self._queue.get_nowait()

    def close(self) -> None:
        """Stop listening and remove the socket file, unless a newer listener has replaced it."""
        self._closed = True
        self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self._thread.join()
        self._socket.close()
        with suppress(FileNotFoundError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    def _listen(self) -> None:
        while True:
            encoded = self._socket.recv(_DATAGRAM_BYTES)
            if self._closed:
                return
            if (notification := _decode(encoded)) is not None:
                self._queue.put(notification)


class _ShortAddress:
    """The address of a socket in a folder of any depth: AF_UNIX holds 107 bytes, /proc/self/fd shortens them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> str:
        self._folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        return f"/proc/self/fd/{self._folder}/{self._path.name}"

    def __exit__(self, *_: object) -> None:
        os.close(self._folder)


def _encode(notification: Notification) -> bytes:
    fields = {"note": type(notification).__name__, **asdict(notification)}
    return json.dumps(fields, default=os.fspath).encode()


def _decode(encoded: bytes) -> Notification | None:
    """Return the notification, None for other bytes: any process with access to the folder may send some."""
    try:
        fields: dict[str, Any] = json.loads(encoded)
        kind = fields.pop("note")
        if kind == "Closed":
            return Closed(**fields)
        if kind == "Announced":
            return Announced(**fields)
        return Arrival(**{**fields, "path": Path(fields["path"])})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
