"""A thread that does small things again and again until it is stopped."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType

log = logging.getLogger(__name__)


class Pulse:
    """Calls each beat every ``seconds``; one that raises is logged and called again at the next turn."""

    def __init__(self, name: str, seconds: float, *beats: Callable[[], object]) -> None:
        self._beats = beats
        self._seconds = seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            for beat in self._beats:
                try:
                    beat()
                except Exception:  # a beat must not end the others: its fault is logged and it is tried again
                    log.exception("%s failed and is tried again", getattr(beat, "__qualname__", beat))
