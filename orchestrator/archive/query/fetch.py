"""One fetch of one series: every instance that can be kept is kept, and what cannot is told."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import chain
from typing import Self, TypeVar

from orchestrator.domain.errors import ArchiveRefused, UnreadableFile
from orchestrator.domain.ports import FoundSeries, Inbox

_T = TypeVar("_T")
_AT_ONCE = 4
_HELD_BYTES = 4 << 20  # of one file
_log = logging.getLogger(__name__)


class Fetched:
    """What has come so far. A file that is broken or of another series stops none of those beside it.

    Filing one takes about as long as bringing it, so several are filed at once. A block: at its end nothing of
    it runs any more.
    """

    def __init__(self, archive: str, series: FoundSeries, inbox: Inbox) -> None:
        self._archive = archive
        self._series_uid = series.series_uid
        self._inbox = inbox
        self._pool = ThreadPoolExecutor(_AT_ONCE, "fetch")
        self._running: set[Future[None]] = set()
        self._lock = threading.Lock()
        self._kept = 0
        self._fault = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()  # what came stays

    def file(self, pieces: Iterable[bytes]) -> None:
        """File one DICOM file, given in pieces; threads may do so at once.

        Raises StorageFull, OSError, and what the pieces raise.
        """
        try:
            self._inbox.file(pieces)
        except UnreadableFile as fault:
            self._fault = str(fault)
            _log.warning("%s: a file of series %s is left out: %s", self._archive, self._series_uid, fault)
        else:
            with self._lock:
                self._kept += 1

    def take(self, pieces: Iterable[bytes]) -> None:
        """Take one DICOM file from the middle of a stream; a large one is filed while it comes, not held in memory.

        Raises what ``file`` raises, of this file or an earlier one.
        """
        coming, held, size = iter(pieces), list[bytes](), 0
        for piece in coming:
            held.append(piece)
            size += len(piece)
            if size > _HELD_BYTES:
                self.file(chain(held, coming))
                return
        self.run(self.file, [b"".join(held)])

    def run(self, work: Callable[[_T], None], of: _T) -> None:
        """Do some work in a thread; a few run at once, and the caller waits until one of them is done.

        Whichever that is: one may be making many images durable while the others go on.
        Raises what earlier work raised.
        """
        if len(self._running) == _AT_ONCE:
            self._wait_for(FIRST_COMPLETED)
        self._running.add(self._pool.submit(work, of))

    def count(self) -> int:
        """Return how many instances are kept, when all work is done and they are settled.

        Raises what the work raised, OSError; ArchiveRefused where there were files and none of them could be kept.
        """
        self._wait_for(ALL_COMPLETED)
        if self._fault and not self._kept:
            raise ArchiveRefused(
                f"{self._archive} hands out nothing of series {self._series_uid} that can be kept: {self._fault}"
            )
        self._inbox.settle()
        return self._kept

    def _wait_for(self, which: str) -> None:
        """Return when that much of the work is done. Raises what it raised."""
        done, self._running = wait(self._running, return_when=which)
        for each in done:
            each.result()
