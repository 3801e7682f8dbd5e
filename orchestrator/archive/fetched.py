"""One fetch of one series: every instance that can be kept is kept, and what cannot is told."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import Self

from orchestrator.domain.errors import ArchiveRefused, UnreadableFile
from orchestrator.domain.ports import FoundSeries, Inbox

_FILED_AT_ONCE = 4
_HELD_BYTES = 4 << 20  # of one file
_log = logging.getLogger(__name__)


class Fetched:
    """What has come so far. A file that is broken or of another series stops none of those beside it.

    Making a file durable takes longer than bringing it, so some are filed while the next ones come. A block:
    at its end all that came is filed.
    """

    def __init__(self, archive: str, series: FoundSeries, inbox: Inbox) -> None:
        self._archive = archive
        self._series_uid = series.series_uid
        self._inbox = inbox
        self._pool = ThreadPoolExecutor(_FILED_AT_ONCE, "filing")
        self._filing: deque[Future[str]] = deque()
        self._kept = 0
        self._fault = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def take(self, pieces: Iterable[bytes]) -> None:
        """Take one DICOM file, given in pieces; a large one is filed while it comes, not held in memory.

        Raises StorageFull, OSError (of an earlier file, too), and what the pieces raise.
        """
        coming, held, size = iter(pieces), list[bytes](), 0
        for piece in coming:
            held.append(piece)
            size += len(piece)
            if size > _HELD_BYTES:
                self._note(self._file(chain(held, coming)))
                return
        if len(self._filing) == _FILED_AT_ONCE:
            self._note(self._filing.popleft().result())
        self._filing.append(self._pool.submit(self._file, held))

    def count(self) -> int:
        """Return how many instances are kept, when all that were taken are filed.

        Raises StorageFull, OSError; ArchiveRefused where there were files and none of them could be kept.
        """
        while self._filing:
            self._note(self._filing.popleft().result())
        if self._fault and not self._kept:
            raise ArchiveRefused(
                f"{self._archive} hands out nothing of series {self._series_uid} that can be kept: {self._fault}"
            )
        return self._kept

    def _file(self, pieces: Iterable[bytes]) -> str:
        """Return what is wrong with a file, nothing where it is kept."""
        try:
            self._inbox.file(pieces)
        except UnreadableFile as fault:
            return str(fault)
        return ""

    def _note(self, fault: str) -> None:
        if fault:
            self._fault = fault
            _log.warning("%s: a file of series %s is left out: %s", self._archive, self._series_uid, fault)
        else:
            self._kept += 1
