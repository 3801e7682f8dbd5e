"""How often the queue of models is looked at: often while images arrive, else as the settings say."""

from __future__ import annotations

import time
from collections.abc import Callable

ALERT_SECONDS = 0.02
LASTS_SECONDS = 2.0


class Attention:
    """A look at a queue takes milliseconds of a core, so it is frequent only where work is on its way.

    look_every: sets the seconds between two looks. rest_seconds: between them while nothing arrives.
    """

    def __init__(
        self,
        look_every: Callable[[float], None],
        rest_seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look_every = look_every
        self._rest_seconds = rest_seconds
        self._clock = clock
        self._until: float | None = None

    def rouse(self) -> None:
        """Something arrived: look often for the next two seconds."""
        if self._until is None:
            self._look_every(min(ALERT_SECONDS, self._rest_seconds))
        self._until = self._clock() + LASTS_SECONDS

    def settle(self) -> None:
        """Look as seldom as before where nothing arrived for a while."""
        if self._until is not None and self._clock() > self._until:
            self._look_every(self._rest_seconds)
            self._until = None
