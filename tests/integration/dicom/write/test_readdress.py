"""Objects whose patient was corrected while they waited are written anew, for the right one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread

from orchestrator.dicom import Syntax, WriteOptions, identity_of, readdress, summarize
from orchestrator.domain.records import ObjectKind
from orchestrator.domain.series import StudyIdentity
from tests.parts.dicom.written import Written, everything_and_maps, one_segment, write_result


@pytest.fixture(scope="module")
def done(ct: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write_result(ct, everything_and_maps, tmp_path_factory.mktemp("written"))


@pytest.fixture
def held(ct: list[Path]) -> StudyIdentity:
    return replace(identity_of(ct[0]), patient_id="M7", patient_name="Lee^Ann=李^安", accession_number="B-2")


def test_they_carry_what_the_archive_says(done: Written, held: StudyIdentity, tmp_path: Path) -> None:
    anew = readdress(done.objects, held, tmp_path)
    assert [identity_of(record.path) for record in anew] == [held] * len(done.objects)
    assert all("PatientAge" not in dcmread(record.path) for record in anew)


def test_no_old_uid_of_ours_is_left(done: Written, held: StudyIdentity, tmp_path: Path) -> None:
    old = {uid for record in done.objects for uid in (record.sop_uid, record.series_uid)}
    for record in readdress(done.objects, held, tmp_path):
        content = record.path.read_bytes()
        assert not [uid for uid in old if uid.encode() in content]


def test_they_say_the_same_of_the_same_images(done: Written, held: StudyIdentity, tmp_path: Path) -> None:
    anew = readdress(done.objects, held, tmp_path)
    assert summarize(anew) == summarize(done.objects)
    before, after = (dcmread(records[0].path) for records in (done.objects, anew))
    assert after.PixelData == before.PixelData
    assert after.ReferencedSeriesSequence == before.ReferencedSeriesSequence


def test_each_form_stays_what_it_is(ct: list[Path], held: StudyIdentity, tmp_path: Path) -> None:
    options = WriteOptions(label_map=True, comprehensive_3d=False, syntax=Syntax.IMPLICIT)
    before = write_result(ct, one_segment, tmp_path / "before", options=options).objects
    for old, new in zip(before, readdress(before, held, tmp_path / "after"), strict=True):
        assert (new.form, new.sop_class) == ("labelmap comprehensive implicit", old.sop_class)
        assert dcmread(new.path).file_meta.TransferSyntaxUID == Syntax.IMPLICIT.uid


def test_the_same_correction_gives_the_same_bytes(done: Written, held: StudyIdentity, tmp_path: Path) -> None:
    first, second = (
        [(record.sop_uid, record.sha256) for record in readdress(done.objects, held, tmp_path / name)] for name in "ab"
    )
    assert first == second


def test_the_old_files_stay(done: Written, held: StudyIdentity, tmp_path: Path) -> None:
    readdress(done.objects, held, tmp_path)
    assert all(record.path.exists() for record in done.objects)


def test_a_study_that_moved_is_followed(done: Written, held: StudyIdentity, tmp_path: Path) -> None:
    anew = readdress(done.objects, replace(held, study_uid="1.2.840.99"), tmp_path)
    report = next(dcmread(record.path) for record in anew if record.kind is ObjectKind.SR)
    assert {record.study_uid for record in anew} == {"1.2.840.99"}
    assert report.CurrentRequestedProcedureEvidenceSequence[0].StudyInstanceUID == "1.2.840.99"
