"""Messages between host and model process: one JSON line each, with open files (SCM_RIGHTS)."""

from __future__ import annotations

import json
import os
import select
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

LONGEST_LINE = 1 << 20
MOST_FILES = 5


class ChannelClosed(Exception):
    """The other side has closed the connection."""


class ChannelGarbled(Exception):
    """The other side sent something other than a JSON object on one line of at most 1 MiB."""


class Channel:
    """One end of a private socket pair; the cage forbids the model process to create further sockets."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._buffer = b""
        self._files: list[int] = []

    def send(self, message: Mapping[str, Any], files: Sequence[int] = ()) -> None:
        """Send one message and duplicates of the open files.

        Raises ChannelClosed, also if the other side does not read within the timeout of the socket.
        """
        line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        try:
            count = socket.send_fds(self._end, [line], list(files)) if files else 0
            self._end.sendall(line[count:])
        except (ConnectionError, TimeoutError) as gone:
            raise ChannelClosed from gone

    def receive(self, seconds: float | None = None, process: int | None = None) -> tuple[dict[str, Any], list[int]]:
        """Wait for the next message and return it with its files.

        process: a pidfd; the end of that process ends the wait, even if a fork of it still holds the other end.
        Raises TimeoutError, ChannelClosed and ChannelGarbled.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while b"\n" not in self._buffer:
            if len(self._buffer) > LONGEST_LINE:
                raise ChannelGarbled("a line longer than 1 MiB")
            self._await(deadline, process)
            self._read()
        line, _, self._buffer = self._buffer.partition(b"\n")
        files, self._files = self._files, []
        return _object(line), files

    def _await(self, deadline: float | None, process: int | None) -> None:
        poll = select.poll()
        for file in (self._end.fileno(), process):
            if file is not None:
                poll.register(file, select.POLLIN)
        remaining_ms = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        ready = {file for file, _ in poll.poll(remaining_ms)}
        if not ready:
            raise TimeoutError
        if self._end.fileno() not in ready:
            raise ChannelClosed

    def _read(self) -> None:
        try:
            data, files, _, _ = socket.recv_fds(self._end, 1 << 16, MOST_FILES)
        except ConnectionError as gone:
            raise ChannelClosed from gone
        self._files += files
        if not data:
            raise ChannelClosed
        self._buffer += data

    def close(self) -> None:
        """Close this end; the other side then sees its end closed."""
        for file in self._files:
            os.close(file)
        self._end.close()


def _object(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as fault:
        raise ChannelGarbled("a line that is not JSON") from fault
    if not isinstance(message, dict):
        raise ChannelGarbled("a line that is not a JSON object")
    return message
