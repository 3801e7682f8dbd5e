"""Periodic tasks: small functions that a thread calls every few seconds until it is stopped."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType

log = logging.getLogger(__name__)


class PeriodicTask:
    """Calls each function every ``seconds``; one that raises is logged and called again the next time."""

    def __init__(self, name: str, seconds: float, *functions: Callable[[], object]) -> None:
        self._functions = functions
        self._seconds = seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> PeriodicTask:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            for function in self._functions:
                try:
                    function()
                except Exception:  # one function must not stop the others
                    log.exception("periodic task %s failed; trying again", getattr(function, "__qualname__", function))
