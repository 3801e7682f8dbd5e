"""One fetch of one series: every instance that can be kept is kept, and what cannot is told."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from orchestrator.domain.errors import ArchiveRefused, UnreadableFile
from orchestrator.domain.ports import FoundSeries, Inbox

_log = logging.getLogger(__name__)


class Fetched:
    """What has come so far. A file that is broken or of another series stops none of those beside it."""

    def __init__(self, archive: str, series: FoundSeries, inbox: Inbox) -> None:
        self._archive = archive
        self._series = series
        self._inbox = inbox
        self._kept = 0
        self._fault = ""

    def take(self, pieces: Iterable[bytes]) -> None:
        """Keep one DICOM file, given in pieces.

        Raises StorageFull, OSError, and what the pieces raise.
        """
        try:
            self._inbox.file(pieces)
            self._kept += 1
        except UnreadableFile as fault:
            self._fault = str(fault)
            _log.warning(
                "%s hands out a file with series %s that is left out: %s", self._archive, self._series.series_uid, fault
            )

    def count(self) -> int:
        """Return how many instances were kept.

        Raises ArchiveRefused where there were files and none of them could be.
        """
        if self._fault and not self._kept:
            raise ArchiveRefused(
                f"{self._archive} hands out nothing of series {self._series.series_uid} that can be kept: {self._fault}"
            )
        return self._kept
