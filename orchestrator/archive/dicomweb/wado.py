"""Retrieves DICOM files by WADO-RS (PS3.18 10.4), several files in one answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

from orchestrator.archive.http.client import HttpSession
from orchestrator.archive.http.multipart import BrokenMultipart, MultipartReader, Part, boundary_in
from orchestrator.archive.query.fetch import SeriesFetch
from orchestrator.domain.errors import ArchiveRefused, ArchiveUnavailable
from orchestrator.domain.ports import FoundSeries

_ANY_SYNTAX = 'multipart/related; type="application/dicom"; transfer-syntax=*'


@contextmanager
def files(session: HttpSession, path: str, archive: str) -> Iterator[Iterable[Part]]:
    """Yield the files at a path while they arrive, in the transfer syntaxes that they are stored in; maybe none.

    archive: for messages. Raises ArchiveRefused, ArchiveUnavailable (also within the block).
    """
    absent = frozenset({HTTPStatus.NOT_FOUND.value})
    with session.stream("GET", path, headers={"Accept": _ANY_SYNTAX}, other_codes=absent) as response:
        boundary = boundary_in(response.headers.get("Content-Type", ""))
        if response.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.NO_CONTENT):
            yield ()
        elif not boundary:
            raise ArchiveRefused(f"{archive} does not send images as multipart/related; check the path in its url")
        else:
            try:
                yield MultipartReader(response.iter_raw(), boundary)
            except BrokenMultipart as fault:
                raise ArchiveUnavailable(f"{archive} sent an incomplete answer: {fault}") from None


def fetch_series(session: HttpSession, root: str, series: FoundSeries, fetch: SeriesFetch, archive: str) -> int:
    """Add all files of the series to the fetch and return how many arrived, including invalid ones.

    root: the path before ``/studies``. Raises ArchiveRefused (no files arrived), ArchiveUnavailable, StorageFull,
    OSError.
    """
    path = f"{root}/studies/{series.study_uid}/series/{series.series_uid}"
    count = 0
    with files(session, path, archive) as parts:
        for part in parts:
            fetch.add(part.pieces)
            count += 1
    return count
