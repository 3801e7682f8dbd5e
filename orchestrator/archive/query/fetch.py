"""Fetches one series: stores each valid instance, and logs each file that is left out."""

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
_MEMORY_BYTES = 4 << 20  # for one file
_log = logging.getLogger(__name__)


class SeriesFetch:
    """One fetch. A file that is broken or of another series is left out and does not stop the others.

    Storing a file takes about as long as downloading it, so several are stored at once. Use it as a context manager,
    which waits for all threads at the end.
    """

    def __init__(self, archive: str, series: FoundSeries, inbox: Inbox) -> None:
        self._archive = archive
        self._series_uid = series.series_uid
        self._inbox = inbox
        self._pool = ThreadPoolExecutor(_AT_ONCE, "fetch")
        self._running: set[Future[None]] = set()
        self._lock = threading.Lock()
        self._stored_count = 0
        self._fault = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()  # stored instances stay

    def file(self, pieces: Iterable[bytes]) -> None:
        """Store one DICOM file, given in pieces; several threads may call this at once.

        Raises StorageFull, OSError, and whatever the iterator of pieces raises.
        """
        try:
            self._inbox.file(pieces)
        except UnreadableFile as fault:
            self._fault = str(fault)
            _log.warning("file of series %s from %s left out: %s", self._series_uid, self._archive, fault)
        else:
            with self._lock:
                self._stored_count += 1

    def add(self, pieces: Iterable[bytes]) -> None:
        """Store one DICOM file from the middle of a stream; a large file is stored while it arrives.

        Raises what ``file`` raises, for this file or an earlier one.
        """
        stream, buffer, size = iter(pieces), list[bytes](), 0
        for piece in stream:
            buffer.append(piece)
            size += len(piece)
            if size > _MEMORY_BYTES:
                self.file(chain(buffer, stream))
                return
        self.run(self.file, [b"".join(buffer)])

    def run(self, task: Callable[[_T], None], argument: _T) -> None:
        """Run a task in a thread; where all threads are busy, wait until the first of them is free.

        Raises what earlier tasks raised.
        """
        if len(self._running) == _AT_ONCE:
            self._wait_for(FIRST_COMPLETED)
        self._running.add(self._pool.submit(task, argument))

    def finish(self) -> int:
        """Wait for all tasks, make the instances durable and return how many were stored.

        Raises what the tasks raised, OSError; ArchiveRefused where the archive sent files and none was valid.
        """
        self._wait_for(ALL_COMPLETED)
        if self._fault and not self._stored_count:
            raise ArchiveRefused(f"{self._archive} sent no valid instance of series {self._series_uid}: {self._fault}")
        self._inbox.settle()
        return self._stored_count

    def _wait_for(self, which: str) -> None:
        """Wait for the first task or all tasks. Raises what they raised."""
        futures, self._running = wait(self._running, return_when=which)
        for future in futures:
            future.result()
