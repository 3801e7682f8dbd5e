"""Tells a role of the service to stop: by signals, and when its supervisor dies."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
from contextlib import suppress

_PR_SET_PDEATHSIG = 1


class Stop:
    """True after SIGTERM or SIGINT; a role then ends its loop.

    A signal handler may interrupt any code, also another handler. So it takes no lock and writes into a pipe.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._set)

    def __bool__(self) -> bool:
        return self._is_set

    def wait(self, seconds: float) -> bool:
        """Wait for a signal. Returns True as soon as there is one, False after ``seconds``."""
        select.select([self._reader], [], [], seconds)
        return self._is_set

    def _set(self, *_: object) -> None:
        self._is_set = True
        with suppress(BlockingIOError):  # the pipe is full of earlier signals
            os.write(self._writer, b"!")


def end_with_supervisor(supervisor: int) -> None:
    """Let the kernel send SIGTERM to this process when its supervisor dies for any reason (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != supervisor:  # the supervisor died before the call above
        os.kill(os.getpid(), signal.SIGTERM)
