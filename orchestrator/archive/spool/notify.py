"""A doorbell between processes: the receiver rings, the engine need not poll.

Best effort by design: a note may be lost (nobody listens, the listener is slow), and the spool's scan
is the truth. A ring never waits and never fails.
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
from queue import Empty, SimpleQueue
from typing import Any

from orchestrator.archive.spool.arrival import Announced, Arrival, Closed, Note

_NOTE_BYTES = 64 << 10


class Ringer:
    """The side that rings."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def ring(self, note: Note) -> bool:
        """Return True where a listener will hear the note."""
        try:
            with _Short(self._path) as address:
                self._socket.sendto(_encode(note), address)
        except OSError:  # nobody listens, or does not keep up
            return False
        return True

    def close(self) -> None:
        """Ring no more."""
        self._socket.close()


class Listener:
    """The side that hears; there is one for each path, the newest.

    It hears in a thread of its own: the kernel keeps ten notes only (net.unix.max_dgram_qlen), and while
    the owner of the doorbell is busy with one series, more images of the next one arrive than that.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path.unlink(missing_ok=True)
        with _Short(path) as address:
            self._socket.bind(address)
        path.chmod(0o600)
        self._inode = path.stat().st_ino
        self._notes: SimpleQueue[Note] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._listen, name="doorbell", daemon=True)
        self._thread.start()

    def hear(self, timeout_seconds: float) -> Iterator[Note]:
        """Yield the next note and those that wait behind it; nothing where none comes in time."""
        with suppress(Empty):
            yield self._notes.get(timeout=timeout_seconds)
            for _ in range(self._notes.qsize()):  # not those that come meanwhile: there may be no end of them
                yield self._notes.get_nowait()

    def close(self) -> None:
        """Hear no more and take the doorbell down, unless somebody else hung up a newer one."""
        self._closed = True
        self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self._thread.join()
        self._socket.close()
        with suppress(FileNotFoundError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()

    def _listen(self) -> None:
        while True:
            encoded = self._socket.recv(_NOTE_BYTES)
            if self._closed:
                return
            if (note := _decode(encoded)) is not None:
                self._notes.put(note)


class _Short:
    """The address of a socket in a folder of any depth: AF_UNIX holds 107 bytes, /proc/self/fd shortens them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> str:
        self._folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        return f"/proc/self/fd/{self._folder}/{self._path.name}"

    def __exit__(self, *_: object) -> None:
        os.close(self._folder)


def _encode(note: Note) -> bytes:
    fields = {"note": type(note).__name__, **asdict(note)}
    return json.dumps(fields, default=os.fspath).encode()


def _decode(encoded: bytes) -> Note | None:
    """Return the note, None for what is none: anybody with access to the folder may ring."""
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
