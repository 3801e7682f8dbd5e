"""Where fetched instances go: into the spool, told like those that were pushed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from uuid import uuid4

from orchestrator.archive.protocol.part10 import describe_file
from orchestrator.archive.spool.arrival import Announced, Closed, Note
from orchestrator.archive.spool.spool import Incoming, Origin, Spool

_SETTLED_AT_ONCE = 64
"""Each holds a file open, and a kill takes them: the fetch is repeated whole."""


class SpoolInbox:
    """Implements domain.ports.Inbox for one fetch of one series; several threads may file at once.

    A fetch is told as one association: its arrivals while it runs, each when it is durable, and, by ``close``,
    its end.
    """

    def __init__(self, spool: Spool, *, source: str, series_uid: str, tell: Callable[[Note], object]) -> None:
        """Take instances of that series only. source: the archive's name in the settings."""
        self._spool = spool
        self._source = source
        self._series_uid = series_uid
        self._tell = tell
        self._fetch = uuid4().hex
        self._lock = threading.Lock()
        self._unsettled: list[Incoming] = []
        self.arrivals = 0

    def file(self, pieces: Iterable[bytes]) -> str:
        """Keep one DICOM file (PS3.10), given in pieces of any size.

        Raises UnreadableFile, StorageFull, OSError.
        """
        described = describe_file(pieces)
        return self.dataset(described.sop_class, described.sop_uid, described.transfer_syntax, described.dataset)

    def dataset(self, sop_class: str, sop_uid: str, transfer_syntax: str, pieces: Iterable[bytes | memoryview]) -> str:
        """Keep one encoded data set without preamble and file meta information, as C-STORE brings it.

        Raises UnreadableFile (of another series, too), StorageFull, OSError.
        """
        origin = Origin(sop_class, sop_uid, transfer_syntax, "", "", self._fetch, self._source)
        incoming = self._spool.receive(origin)
        try:
            for piece in pieces:
                incoming.write(memoryview(piece))
        except BaseException:
            incoming.discard()
            raise
        identity = incoming.check(of_series=self._series_uid)
        with self._lock:
            self.arrivals += 1
            self._unsettled.append(incoming)
            full = len(self._unsettled) >= _SETTLED_AT_ONCE
        if full:
            self.settle()
        return identity.sop_uid

    def settle(self) -> None:
        """Return when what came so far is durable and told.

        Raises OSError.
        """
        with self._lock:
            unsettled, self._unsettled = self._unsettled, []
        for arrival in self._spool.file_all(unsettled):
            self._tell(arrival)

    def adopt(self, study_uid: str) -> None:
        """Tell what the spool holds of the series as fetched: a C-MOVE brings images as pushed ones come."""
        for file in self._spool.series_files(study_uid, self._series_uid):
            arrival = replace(self._spool.arrival(file), source=self._source, association=self._fetch)
            self.arrivals += 1
            self._tell(arrival)

    def close(self, *, whole: bool, complete: str = "") -> None:
        """Tell that the fetch has ended.

        whole: it ended well. complete: why nothing more will come, in words; empty where nobody says so.
        """
        with suppress(OSError):  # only a fetch that broke off left anything, and it is repeated whole
            self.settle()
        self._tell(Closed(association=self._fetch, released=whole, calling="", called=""))
        if whole and complete:
            self.announce(self.arrivals, complete)

    def announce(self, count: int, complete: str) -> None:
        """Tell that so many instances are all, and who says so."""
        self._tell(Announced(series_uid=self._series_uid, count=count, reason=complete))
