"""R8, R9: what watching an Orthanc costs it, and what pulling a series costs beside downloading it.

R8 is Orthanc's processor time for one second of looks in which nothing is new, beside 2 requests of 3 ms.
R9's yardstick streams the series by WADO-RS into one file and makes that durable; ours files each image for itself.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import httpx

from benchmarks.row import Row, compared, row, show
from benchmarks.series import write_ct
from orchestrator.app.demo.orthanc_server import OrthancServer, run_orthanc
from orchestrator.app.service.watcher import ORTHANC_LOOK_SECONDS
from orchestrator.archive import Spool, SpoolInbox, connect
from orchestrator.archive.dicomweb.archive import DicomwebArchive
from orchestrator.archive.orthanc import OrthancArchive
from orchestrator.domain.ports import FoundSeries

IMAGES = 300
LOOKS = 300
BUDGET_SECONDS = 2 * 0.003
"""What one second of watching may cost an archive."""
WADO = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*', "Accept-Encoding": "identity"}


def rows(rounds: int = 3) -> Iterator[Row]:
    """Yield R8, then R9 by both ways."""
    with tempfile.TemporaryDirectory() as name:
        folder, turn = Path(name), count()
        with run_orthanc(folder / "orthanc") as peer:
            own, web = _own(peer), _web(peer)
            own.store(write_ct(folder / "source", IMAGES))
            (series,) = own.find({})
            looks = [(BUDGET_SECONDS, watching(own)) for _ in range(rounds)]
            yield row("R8", "CPU of the archive for a second of watching", "2 requests of 3 ms", looks, target=1.0)
            for archive, how in ((web, "DICOMweb"), (own, "Orthanc's API")):
                walls = compared(
                    lambda: download(peer, series, folder / f"plain{next(turn)}"),
                    lambda archive=archive: pull(archive, series, folder / f"spool{next(turn)}"),  # type: ignore[misc]
                    rounds=rounds,
                )
                yield row("R9", f"pull of {IMAGES} CT by {how}", "WADO-RS into one durable file", walls, target=1.5)


def watching(archive: OrthancArchive) -> float:
    """Return the processor seconds that the archive needs for one second of looks at it."""
    cursor = archive.changes("").cursor
    before = _processor_seconds()
    for _ in range(LOOKS):
        archive.changes(cursor)
    return (_processor_seconds() - before) / LOOKS / ORTHANC_LOOK_SECONDS


def download(peer: OrthancServer, series: FoundSeries, path: Path) -> None:
    """Write the answer to WADO-RS, as it comes, into one file."""
    address = f"{peer.http}/dicom-web/studies/{series.study_uid}/series/{series.series_uid}"
    with (
        path.open("wb", buffering=0) as file,
        httpx.stream("GET", address, headers=WADO, timeout=60, trust_env=False) as response,
    ):
        for piece in response.iter_raw():
            file.write(piece)
        os.fsync(file.fileno())


def pull(archive: OrthancArchive | DicomwebArchive, series: FoundSeries, folder: Path) -> None:
    """Bring the series into a spool, as the service does."""
    inbox = SpoolInbox(Spool(folder), source="bench", series_uid=series.series_uid, notify=lambda _: None)
    if archive.fetch(series, inbox) != IMAGES:
        raise SystemExit("not all images came")


def _own(peer: OrthancServer) -> OrthancArchive:
    archive = connect(peer.url, name="bench")
    assert isinstance(archive, OrthancArchive)
    return archive


def _web(peer: OrthancServer) -> DicomwebArchive:
    archive = connect(f"dicomweb+{peer.http}/dicom-web", name="bench")
    assert isinstance(archive, DicomwebArchive)
    return archive


def _processor_seconds() -> float:
    """Return what the one process that this one started, Orthanc, has used."""
    (pid,) = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    show(rows, __doc__, rounds=3)
