"""Debian's Orthanc, asked by its own API and by its DICOMweb plugin."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless

from orchestrator.archive import Notification, Spool, SpoolInbox
from orchestrator.archive.orthanc import OrthancArchive
from orchestrator.domain.errors import ArchiveRefused
from orchestrator.domain.ports import FoundSeries, ObjectReference
from tests.data.faults import change
from tests.data.series import ct_series, write
from tests.integration.archive.orthanc.conftest import Both, content, fetched, references, saved, series_of
from tests.parts.archive.orthanc import Orthanc

# --- asked, read and stored to: the same by both ways -------------------------------------------------------


def test_it_is_there(archive: Both) -> None:
    assert 0 < archive.echo() < 10


def test_what_is_stored_is_found_and_comes_back_as_it_was(archive: Both, tmp_path: Path) -> None:
    paths = ct_series(tmp_path / "ct", slices=5, seed=f"{type(archive).__name__} ct")
    archive.store(paths)
    (found,) = archive.find({"StudyInstanceUID": series_of(paths[0]).study_uid, "Modality": "CT"})
    assert (found.series_uid, found.count) == (series_of(paths[0]).series_uid, 5)
    assert content(fetched(archive, found, tmp_path)) == content(paths)


def test_a_file_stored_twice_is_there_once(archive: Both, tmp_path: Path) -> None:
    paths = saved(tmp_path, 2)
    archive.store(paths)
    archive.store(paths)
    (found,) = archive.find({"SeriesInstanceUID": series_of(paths[0]).series_uid})
    assert found.count == 2


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
def test_compressed_images_come_as_they_are(archive: Both, tmp_path: Path, syntax: str) -> None:
    paths = write(
        tmp_path / "jp2", slices=2, seed=f"{type(archive).__name__} {syntax}", transfer_syntax=syntax, intercept=0.0
    )
    archive.store(paths)
    assert content(fetched(archive, series_of(paths[0]), tmp_path)) == content(paths)


def test_the_headers_say_what_rules_ask_about(archive: Both, tmp_path: Path) -> None:
    paths = ct_series(tmp_path, slices=1, seed=f"{type(archive).__name__} headers")
    archive.store(paths)
    (found,) = archive.find({"SeriesInstanceUID": series_of(paths[0]).series_uid})
    wanted = {"Modality", "StudyDate", "StudyDescription", "SeriesDescription", "BodyPartExamined", "PatientID"}
    assert wanted <= found.headers.keys()
    assert found.headers["SeriesNumber"] == (1,)


@pytest.mark.parametrize(
    ("asked", "is_found"),
    [
        ({"StudyDate": "20260101"}, True),
        ({"StudyDate": "20251231-20260102"}, True),
        ({"StudyDate": "20260102-"}, False),
        ({"Modality": "MR"}, False),
        ({"PatientID": "FIND*"}, True),
        ({"PatientID": "NOBODY"}, False),
    ],
)
def test_it_finds_what_is_asked_for(archive: Both, tmp_path: Path, asked: dict[str, str], is_found: bool) -> None:
    paths = saved(tmp_path, patient_id="FIND-1")
    archive.store(paths)
    found = {series.series_uid for series in archive.find(asked)}
    assert (series_of(paths[0]).series_uid in found) is is_found


def test_a_keyword_that_dicom_does_not_know_is_refused(archive: Both) -> None:
    with pytest.raises(ArchiveRefused, match="StudyDay: DICOM has no such keyword"):
        list(archive.find({"StudyDay": "20260101"}))


def test_it_says_what_is_missing(archive: Both, tmp_path: Path) -> None:
    held, absent = saved(tmp_path / "held", 3), saved(tmp_path / "absent", 2)
    archive.store(held)
    assert archive.missing(references([*held, *absent])) == {each.sop_uid for each in references(absent)}
    assert archive.missing([]) == frozenset()


def test_an_object_in_another_series_than_its_own_is_missing(archive: Both, tmp_path: Path) -> None:
    paths = saved(tmp_path)
    archive.store(paths)
    (held,) = references(paths)
    assert archive.missing([ObjectReference(held.study_uid, "1.2.3", held.sop_uid, held.sop_class)]) == {held.sop_uid}


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 100", "Müller^Jürgen"),
        ("ISO_IR 192", "Müller^Jürgen=山田^太郎"),
        ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("\\ISO 2022 IR 149", "Hong^Gildong=洪^吉洞=홍^길동"),
        ("ISO 2022 IR 6\\ISO 2022 IR 149", "Hong^Gildong=洪^吉洞=홍^길동"),
        ("ISO_IR 144", "Люкceмбypг"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
    ],
)
def test_a_patient_is_known_by_name_in_any_script(archive: Both, tmp_path: Path, character_set: str, name: str) -> None:
    paths = saved(tmp_path, character_set=character_set, patient_name=name)
    archive.store(paths)
    held = archive.identity(series_of(paths[0]).study_uid)
    assert held is not None
    assert held.patient_name == name


def test_a_patient_is_known_with_issuer_and_accession(archive: Both, tmp_path: Path) -> None:
    paths = ct_series(tmp_path, slices=1, seed=f"{type(archive).__name__} identity")
    archive.store(paths)
    held = archive.identity(series_of(paths[0]).study_uid)
    assert held is not None
    assert (held.patient_id, held.issuer_of_patient_id, held.accession_number) == ("PHANTOM-1", "ORCHESTRATOR", "A-1")


def test_nobody_is_known_for_a_study_that_it_lacks(archive: Both) -> None:
    assert archive.identity("1.2.3.4") is None


def test_a_study_of_two_patients_is_refused(archive: Both, tmp_path: Path) -> None:
    paths = saved(tmp_path / "one")
    study, series = series_of(paths[0]).study_uid, series_of(paths[0]).series_uid
    other = saved(tmp_path / "other", patient_id="P2")
    change(other, lambda dataset: dataset.update({"StudyInstanceUID": study, "SeriesInstanceUID": series}))
    archive.store([*paths, *other])
    with pytest.raises(ArchiveRefused, match=f"study {study} under 2 patients"):
        archive.identity(study)


def test_a_series_that_is_gone_is_refused(archive: Both, tmp_path: Path) -> None:
    with pytest.raises(ArchiveRefused, match=r"no longer holds series 1\.2\.4"):
        fetched(archive, FoundSeries("1.2.3", "1.2.4"), tmp_path)


def test_what_is_no_dicom_file_is_refused(archive: Both, tmp_path: Path) -> None:
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(b"no DICOM at all" * 40)
    with pytest.raises(ArchiveRefused, match="vna"):
        archive.store([broken])


def test_a_broken_file_holds_up_none_of_the_others(own: OrthancArchive, tmp_path: Path, peer: Orthanc) -> None:
    paths = saved(tmp_path, 2)
    peer.put(paths)
    told: list[Notification] = []
    inbox = SpoolInbox(Spool(tmp_path / "spool"), source="vna", series_uid="9.9", notify=told.append)
    with pytest.raises(ArchiveRefused, match=r"no valid instance of series"):
        own.fetch(series_of(paths[0]), inbox)
    assert told == []


# --- what is said in the log ----------------------------------------------------------------------------------


def test_nothing_of_a_patient_is_logged(archive: Both, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    paths = saved(tmp_path, patient_id=f"SECRET-{type(archive).__name__}", patient_name="Secret^Name")
    archive.store(paths)
    (found,) = archive.find({"PatientID": f"SECRET-{type(archive).__name__}"})
    fetched(archive, found, tmp_path)
    archive.identity(found.study_uid)
    assert "secret" not in caplog.text.lower()
