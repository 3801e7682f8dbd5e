"""A real Orthanc by DIMSE: found, watched, fetched both ways, and asked for storage commitment."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import JPEG2000Lossless

from orchestrator.archive import Arrival, Commitments, Notification, Spool, SpoolInbox
from orchestrator.archive.dimse import DimseArchive
from orchestrator.domain.errors import ArchiveRefused
from orchestrator.domain.ports import ObjectReference
from tests.data.objects import instance
from tests.integration.archive.conftest import Station
from tests.parts.archive.dcmtk import free_port
from tests.parts.archive.dicom_peer import connected
from tests.parts.archive.orthanc import Orthanc, orthanc

CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture(scope="module")
def receiver_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, receiver_port: int) -> Iterator[Orthanc]:
    """Return an Orthanc that knows this host."""
    ours = {"AET": "ORCHESTRATOR", "Host": "127.0.0.1", "Port": receiver_port}
    folder = tmp_path_factory.mktemp("orthanc")
    with orthanc(folder, DicomAet="ORTHANC", DicomModalities={"ours": ours}) as server:
        yield server


@pytest.fixture
def archive(server: Orthanc, tmp_path: Path) -> DimseArchive:
    return connected(url_of(server), folder=tmp_path / "data")


def url_of(server: Orthanc) -> str:
    return f"dimse://ORTHANC@127.0.0.1:{server.dicom_port}"


def write_today(path: Path, study: str, **parameters: str) -> Path:
    """Write an instance of a study of today, whose one series has the study's UID and a 1 behind it."""
    made = instance(study=study, series=f"{study}.1", **parameters)
    made.StudyDate = f"{date.today():%Y%m%d}"
    made.save_as(path, enforce_file_format=True)
    return path


def test_a_series_is_found_with_its_count(archive: DimseArchive, tmp_path: Path) -> None:
    archive.store(
        [
            write_today(
                tmp_path / f"{n}.dcm", "1.2.1", patient_id="P7", patient_name="Müller^Jörg", character_set="ISO_IR 192"
            )
            for n in range(3)
        ]
    )
    (found,) = archive.find({"PatientID": "P7", "Modality": "CT"})
    assert (found.series_uid, found.count, found.headers["PatientName"]) == ("1.2.1.1", 3, ("Müller^Jörg",))


def test_a_series_comes_in_the_encodings_that_it_is_held_in(archive: DimseArchive, tmp_path: Path) -> None:
    plain = write_today(tmp_path / "a.dcm", "1.2.2")
    packed = write_today(tmp_path / "b.dcm", "1.2.2", transfer_syntax=JPEG2000Lossless)
    archive.store([plain, packed])
    (found,) = archive.find({"StudyInstanceUID": "1.2.2"})
    told: list[Notification] = []
    inbox = SpoolInbox(
        Spool(tmp_path / "spool", minimum_free_mb=0), source="o", series_uid="1.2.2.1", notify=told.append
    )
    assert archive.fetch(found, inbox) == 2
    came = {note.sop_uid: dcmread(note.path) for note in told if isinstance(note, Arrival)}
    assert came == {dcmread(path).SOPInstanceUID: dcmread(path) for path in (plain, packed)}


def test_a_c_move_reaches_the_receiver(
    server: Orthanc, archive: DimseArchive, tmp_path: Path, start: Callable[..., Station], receiver_port: int
) -> None:
    station = start(port=receiver_port)
    archive.store([write_today(tmp_path / f"{n}.dcm", "1.2.3") for n in range(3)])
    (found,) = archive.find({"StudyInstanceUID": "1.2.3"})
    inbox = SpoolInbox(Spool(tmp_path / "own", minimum_free_mb=0), source="o", series_uid="1.2.3.1", notify=print)
    mover = connected(url_of(server), retrieve="move", move_to="ORCHESTRATOR")
    assert mover.fetch(found, inbox) == len(station.arrivals) == 3
    with pytest.raises(ArchiveRefused, match="C-MOVE to NOBODY"):
        connected(url_of(server), retrieve="move", move_to="NOBODY").fetch(found, inbox)


def test_what_comes_and_grows_is_seen(archive: DimseArchive, tmp_path: Path) -> None:
    cursor = archive.changes("").cursor
    for count in (1, 2):
        archive.store([write_today(tmp_path / f"{count}.dcm", "1.2.4")])
        look = archive.changes(cursor)
        assert [(each.series.series_uid, each.series.count) for each in look.changes] == [("1.2.4.1", count)]
        cursor = look.cursor
    assert archive.changes(cursor).changes == ()


def test_its_commitment_comes_to_the_receiver_and_is_found(
    archive: DimseArchive, tmp_path: Path, start: Callable[..., Station], receiver_port: int
) -> None:
    start(port=receiver_port, commitments=Commitments(tmp_path / "data" / "commitments"))
    file = write_today(tmp_path / "a.dcm", "1.2.5")
    archive.store([file])
    held = ObjectReference("1.2.5", "1.2.5.1", dcmread(file).SOPInstanceUID, CT)
    lacking = ObjectReference("1.2.5", "1.2.5.1", "1.2.5.1.9", CT)
    assert archive.uncommitted([held]) == frozenset()
    assert archive.uncommitted([held, lacking]) == {"1.2.5.1.9"}
