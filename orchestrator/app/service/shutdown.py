"""How a role of the service is told to end."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
from contextlib import suppress

_PR_SET_PDEATHSIG = 1


class Stop:
    """Set by SIGTERM and SIGINT; a role ends its loop when it sees it.

    A handler runs in the middle of anything, of another handler too, so it takes no lock: it writes into a pipe.
    """

    def __init__(self) -> None:
        self._told = False
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._tell)

    def __bool__(self) -> bool:
        return self._told

    def wait(self, seconds: float) -> bool:
        """Return True as soon as the process is told to end, False after ``seconds``."""
        select.select([self._reader], [], [], seconds)
        return self._told

    def _tell(self, *_: object) -> None:
        self._told = True
        with suppress(BlockingIOError):  # full of earlier signals
            os.write(self._writer, b"!")


def end_with_supervisor(supervisor: int) -> None:
    """Have the kernel tell this process to end when its supervisor dies, however that happens (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != supervisor:  # it died before the kernel was told
        os.kill(os.getpid(), signal.SIGTERM)
