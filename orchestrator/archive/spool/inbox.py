"""Writes fetched instances to the spool and notifies the engine of them, as the receiver does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from orchestrator.archive.protocol.part10 import describe_file
from orchestrator.archive.spool.arrival import Announced, Closed, Notification
from orchestrator.archive.spool.sources import record_source
from orchestrator.archive.spool.spool import Incoming, Origin, Spool, SpooledFile

_SETTLED_AT_ONCE = 64
"""Each one holds a file open. A kill loses them, and the whole fetch is repeated."""
_CLOCK_SECONDS = 0.1
"""How far the times of files may lag behind the clock."""


class SpoolInbox:
    """Implements domain.ports.Inbox for one fetch of one series; several threads may use it.

    The engine sees a fetch as one association: an arrival for each durable instance and, by ``close``, its end.
    """

    def __init__(self, spool: Spool, *, source: str, series_uid: str, notify: Callable[[Notification], object]) -> None:
        """Accept instances of that series only. source: the archive's name in the settings."""
        self._spool = spool
        self._source = source
        self._series_uid = series_uid
        self._notify = notify
        self._fetch = uuid4().hex
        self._lock = threading.Lock()
        self._unsettled: list[Incoming] = []
        self.arrivals = 0
        self.expects_pushed = False

    def file(self, pieces: Iterable[bytes]) -> str:
        """Write one DICOM file (PS3.10), given in pieces of any size.

        Raises UnreadableFile, StorageFull, OSError.
        """
        header = describe_file(pieces)
        return self.dataset(header.sop_class, header.sop_uid, header.transfer_syntax, header.dataset)

    def dataset(self, sop_class: str, sop_uid: str, transfer_syntax: str, pieces: Iterable[bytes | memoryview]) -> str:
        """Write one encoded data set without preamble and file meta information, as C-STORE sends it.

        Raises UnreadableFile (also for another series), StorageFull, OSError.
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
        """Make all instances so far durable and notify the engine of them.

        Raises OSError.
        """
        with self._lock:
            batch, self._unsettled = self._unsettled, []
        arrivals = self._spool.file_all(batch)
        self._record_source([arrival.path for arrival in arrivals if arrival.duplicate])
        for arrival in arrivals:
            self._notify(arrival)

    def expect_pushed(self) -> None:
        """Note that a C-MOVE sends the images to the receiver."""
        self.expects_pushed = True

    def adopt(self, study_uid: str, since: datetime | None = None) -> None:
        """Record that the series in the spool was fetched, and notify the engine: a C-MOVE sends to the receiver.

        since: when a C-MOVE began that broke off; what was filed before did not come by it.
        Raises UnreadableFile, OSError.
        """
        files: Sequence[SpooledFile] = self._spool.series_files(study_uid, self._series_uid)
        if since is not None:
            begin_ns = int((since.timestamp() - _CLOCK_SECONDS) * 1e9)
            files = [file for file in files if file.filed_ns >= begin_ns]
        self._record_source([file.path for file in files])  # first, since a notification may be late or lost
        for file in files:
            arrival = replace(self._spool.arrival(file), association=self._fetch)
            self.arrivals += 1
            self._notify(arrival)

    def _record_source(self, paths: Sequence[Path]) -> None:
        """Record that this archive has the files, whose headers say how they came first.

        Raises OSError.
        """
        if paths and self._source:
            record_source(paths[0].parent, [path.name for path in paths], self._source)

    def close(self, *, whole: bool, complete: str = "") -> None:
        """Notify the engine that the fetch has ended.

        whole: without an error. complete: why no further instance will come; empty where the archive does not say so.
        """
        with suppress(OSError):  # only after an aborted fetch, which is repeated
            self.settle()
        self._notify(Closed(association=self._fetch, released=whole, calling="", called=""))
        if whole and complete:
            self.announce(self.arrivals, complete)

    def announce(self, count: int, complete: str) -> None:
        """Notify the engine that the series has this number of instances, and who says so."""
        self._notify(Announced(series_uid=self._series_uid, count=count, reason=complete))
