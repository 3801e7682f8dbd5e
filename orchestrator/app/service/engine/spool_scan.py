"""Looks through the spool now and then, for what was received and nobody rang for."""

from __future__ import annotations

import time
from queue import Empty, SimpleQueue

from orchestrator.archive import Spool, SpooledFile

RESCAN_SECONDS = 60.0


class Rescan:
    """``look`` in a thread of its own, ``found`` in the engine's: a full spool takes seconds to look through."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._last_look = 0.0
        self._looks: SimpleQueue[list[SpooledFile]] = SimpleQueue()

    def look(self) -> None:
        """Find the series that took a file since a minute before the last look; all of them at the first."""
        begun = time.time()
        self._looks.put(list(self._spool.scan(changed_after=self._last_look - RESCAN_SECONDS)))
        self._last_look = begun

    def found(self) -> list[SpooledFile]:
        """Return what the oldest look not told of yet has found; nothing where there is none."""
        try:
            return self._looks.get_nowait()
        except Empty:
            return []
