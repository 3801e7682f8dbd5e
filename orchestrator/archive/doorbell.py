"""A doorbell between processes: the receiver rings, the engine need not poll.

Best effort by design: a note may be lost (nobody listens, the listener is slow), and the spool's scan
is the truth. A ring never waits and never fails.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from orchestrator.archive.arrival import Arrival, Closed

_NOTE_BYTES = 64 << 10


class Ringer:
    """The side that rings."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def ring(self, note: Arrival | Closed) -> bool:
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
    """The side that hears; there is one for each path, the newest."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path.unlink(missing_ok=True)
        with _Short(path) as address:
            self._socket.bind(address)
        path.chmod(0o600)
        self._inode = path.stat().st_ino

    def hear(self, timeout_seconds: float) -> Iterator[Arrival | Closed]:
        """Yield the next note and those that wait behind it; nothing where none comes in time."""
        self._socket.settimeout(timeout_seconds)
        with suppress(TimeoutError, BlockingIOError):
            while True:
                encoded = self._socket.recv(_NOTE_BYTES)
                self._socket.setblocking(False)
                note = _decode(encoded)
                if note is not None:
                    yield note

    def close(self) -> None:
        """Hear no more and take the doorbell down, unless somebody else hung up a newer one."""
        self._socket.close()
        with suppress(FileNotFoundError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()


class _Short:
    """The address of a socket in a folder of any depth: AF_UNIX holds 107 bytes, /proc/self/fd shortens them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> str:
        self._folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        return f"/proc/self/fd/{self._folder}/{self._path.name}"

    def __exit__(self, *_: object) -> None:
        os.close(self._folder)


def _encode(note: Arrival | Closed) -> bytes:
    fields = {"note": type(note).__name__, **asdict(note)}
    return json.dumps(fields, default=os.fspath).encode()


def _decode(encoded: bytes) -> Arrival | Closed | None:
    """Return the note, None for what is none: anybody with access to the folder may ring."""
    try:
        fields: dict[str, Any] = json.loads(encoded)
        kind = fields.pop("note")
        if kind == "Closed":
            return Closed(**fields)
        return Arrival(**{**fields, "path": Path(fields["path"])})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
