"""DICOM files by WADO-RS (PS3.18 10.4), one after the other in one answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

from orchestrator.archive.http.client import Session
from orchestrator.archive.http.multipart import BrokenMultipart, MultipartReader, Part, boundary_in
from orchestrator.archive.query.fetch import Fetched
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable
from orchestrator.domain.ports import FoundSeries

_AS_IT_IS = 'multipart/related; type="application/dicom"; transfer-syntax=*'


@contextmanager
def files(session: Session, path: str, archive: str) -> Iterator[Iterable[Part]]:
    """Yield the files at an address as they come, compressed ones as they are; none where it has none any more.

    archive: whose they are, for messages. Raises ArchiveRefused; ArchiveUnavailable, within the block, too.
    """
    accepted = frozenset({HTTPStatus.NOT_FOUND.value})
    with session.stream("GET", path, headers={"Accept": _AS_IT_IS}, accepted=accepted) as response:
        boundary = boundary_in(response.headers.get("Content-Type", ""))
        if response.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.NO_CONTENT):
            yield ()
        elif not boundary:
            raise ArchiveRefused(f"{archive} hands images out in another form than multipart/related")
        else:
            try:
                yield MultipartReader(response.iter_raw(), boundary)
            except BrokenMultipart as fault:
                raise ArchiveUnavailable(f"{archive} broke its answer off: {fault}") from None


def bring(session: Session, root: str, series: FoundSeries, fetched: Fetched, archive: str) -> int:
    """Return how many files of the series came, each taken, whether or not it can be kept.

    root: what stands before ``/studies``. Raises ArchiveRefused (nothing came), ArchiveUnavailable, StorageFull,
    OSError.
    """
    path = f"{root}/studies/{series.study_uid}/series/{series.series_uid}"
    came = 0
    with files(session, path, archive) as parts:
        for part in parts:
            fetched.take(part.pieces)
            came += 1
    return came
