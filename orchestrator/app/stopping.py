"""How a role of the service is told to end."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1


class Stop:
    """Set by SIGTERM and SIGINT; a role ends its loop when it sees it."""

    def __init__(self) -> None:
        self._event = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._event.set())

    def __bool__(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Return True as soon as the process is told to end, False after ``seconds``."""
        return self._event.wait(seconds)


def end_with_supervisor(supervisor: int) -> None:
    """Have the kernel tell this process to end when its supervisor dies, however that happens (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != supervisor:  # it died before the kernel was told
        os.kill(os.getpid(), signal.SIGTERM)
