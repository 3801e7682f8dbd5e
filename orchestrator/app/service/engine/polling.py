"""How often the queue of models is polled: often while images arrive, else as the settings say."""

from __future__ import annotations

import time
from collections.abc import Callable

FAST_SECONDS = 0.02
FAST_FOR_SECONDS = 2.0


class QueuePolling:
    """Polls a queue often only while work is on its way: each poll takes milliseconds of a core.

    set_interval: sets the seconds between two polls. idle_seconds: the interval while nothing arrives.
    """

    def __init__(
        self,
        set_interval: Callable[[float], None],
        idle_seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._set_interval = set_interval
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._fast_until: float | None = None

    def speed_up(self) -> None:
        """Poll often for the next two seconds: something arrived."""
        if self._fast_until is None:
            self._set_interval(min(FAST_SECONDS, self._idle_seconds))
        self._fast_until = self._clock() + FAST_FOR_SECONDS

    def slow_down(self) -> None:
        """Return to the interval of the settings where nothing arrived for two seconds."""
        if self._fast_until is not None and self._clock() > self._fast_until:
            self._set_interval(self._idle_seconds)
            self._fast_until = None
