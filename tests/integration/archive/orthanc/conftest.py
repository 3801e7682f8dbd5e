"""A real Orthanc, asked by its own API and by its DICOMweb plugin."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread

from orchestrator.archive import Arrival, Notification, Spool, SpoolInbox, connect
from orchestrator.archive.dicomweb.archive import DicomwebArchive
from orchestrator.archive.orthanc import OrthancArchive
from orchestrator.domain.ports import FoundSeries, ObjectReference
from tests.data.objects import instance
from tests.parts.archive.orthanc import Orthanc, orthanc

Both = OrthancArchive | DicomwebArchive


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """Return an Orthanc as Debian configures it; it loses letters of other scripts in QIDO answers."""
    with orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


@pytest.fixture
def own(peer: Orthanc) -> OrthancArchive:
    return by_api(peer)


@pytest.fixture(params=["orthanc", "dicomweb"])
def archive(peer: Orthanc, request: pytest.FixtureRequest) -> Both:
    return by_api(peer) if request.param == "orthanc" else by_dicomweb(peer)


def by_api(peer: Orthanc, **told: str) -> OrthancArchive:
    archive = connect(peer.url, name="vna", **told)  # type: ignore[arg-type]
    assert isinstance(archive, OrthancArchive)
    return archive


def by_dicomweb(peer: Orthanc, **told: str) -> DicomwebArchive:
    archive = connect(peer.dicomweb_url, name="vna", **told)  # type: ignore[arg-type]
    assert isinstance(archive, DicomwebArchive)
    return archive


def saved(folder: Path, count: int = 1, **parameters: str) -> list[Path]:
    """Write instances of one series of a study of its own and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    first = instance(**parameters)  # type: ignore[arg-type]
    uids = {"study": first.StudyInstanceUID, "series": first.SeriesInstanceUID}
    paths = [folder / f"{number}.dcm" for number in range(count)]
    for path in paths:
        instance(**{**parameters, **uids}).save_as(path, enforce_file_format=True)  # type: ignore[arg-type]
    return paths


def series_of(path: Path) -> FoundSeries:
    header = dcmread(path, stop_before_pixels=True)
    return FoundSeries(header.StudyInstanceUID, header.SeriesInstanceUID)


def references(paths: list[Path]) -> list[ObjectReference]:
    headers = [dcmread(path, stop_before_pixels=True) for path in paths]
    return [
        ObjectReference(each.StudyInstanceUID, each.SeriesInstanceUID, each.SOPInstanceUID, each.SOPClassUID)
        for each in headers
    ]


def fetched(archive: Both, series: FoundSeries, folder: Path) -> list[Path]:
    """Fetch a series and return what lies in the spool."""
    told: list[Notification] = []
    inbox = SpoolInbox(Spool(folder / "spool"), source="vna", series_uid=series.series_uid, notify=told.append)
    assert archive.fetch(series, inbox) == len(told)
    return [note.path for note in told if isinstance(note, Arrival)]


def content(paths: list[Path]) -> set[tuple[str, str, bytes]]:
    """Return what each file holds: its UID, its transfer syntax and its pixels as they are encoded."""
    datasets = [dcmread(path) for path in paths]
    return {(each.SOPInstanceUID, each.file_meta.TransferSyntaxUID, each.PixelData) for each in datasets}
