"""Scans the spool now and then, for files whose notification was lost."""

from __future__ import annotations

import time
from queue import Empty, SimpleQueue

from orchestrator.archive import Spool, SpooledFile

SCAN_SECONDS = 60.0


class SpoolScan:
    """Scans in a thread of its own, since a full spool takes seconds; the engine's loop fetches the files."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._last_scan = 0.0
        self._scans: SimpleQueue[list[SpooledFile]] = SimpleQueue()

    def scan(self) -> None:
        """List the series that a file came to since a minute before the last scan; the first scan lists all."""
        start = time.time()
        self._scans.put(list(self._spool.scan(changed_after=self._last_scan - SCAN_SECONDS)))
        self._last_scan = start

    def files(self) -> list[SpooledFile]:
        """Return the files of the oldest scan that was not returned yet; nothing where there is none."""
        try:
            return self._scans.get_nowait()
        except Empty:
            return []
