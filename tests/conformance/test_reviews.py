"""What a verdict becomes passes the validators too."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from orchestrator.dicom import attest, identity_of, readdress, reject, withdraw
from orchestrator.dicom.objects.storage import encode_file
from orchestrator.domain.records import Note, ObjectKind, ReviewRecord
from orchestrator.domain.review import RejectReason, ReviewState
from tests.data.series import ct_series
from tests.parts.dicom.validators import assert_consistent, assert_same_patient, assert_valid
from tests.parts.dicom.written import MODEL, Written, everything, job, write_result

VERDICT = ReviewRecord(
    job_key="ab" * 32,
    state=ReviewState.ACCEPTED,
    by="Jane Doe",
    organization="St. Mary's",
    at=datetime(2025, 5, 3, 8, 30, tzinfo=UTC),
)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("written")
    return write_result(ct_series(folder / "in"), everything, folder, model=replace(MODEL, qualification="PRODUCT"))


def stored(written: Dataset, folder: Path) -> Path:
    path = folder / f"{written.SOPInstanceUID}.dcm"
    path.write_bytes(encode_file(written))
    return path


def test_an_attestation_is_valid(done: Written, tmp_path: Path) -> None:
    path = stored(attest(done.path(ObjectKind.SR), VERDICT), tmp_path)
    assert_valid(path, done.sources[0])
    assert_consistent(done.sources, [*done.paths, path])
    assert_same_patient(done.sources[0], [path])


@pytest.mark.parametrize("reason", RejectReason)
def test_a_rejection_is_valid(done: Written, tmp_path: Path, reason: RejectReason) -> None:
    verdict = replace(VERDICT, state=ReviewState.REJECTED, comment="not so")
    path = stored(reject(done.paths, reason, verdict), tmp_path)
    assert_valid(path, done.sources[0])
    assert_consistent(done.sources, [*done.paths, path])


@pytest.mark.parametrize("note", [Note.SUPERSEDED, Note.RETRACTED])
def test_a_note_that_withdraws_a_result_is_valid(done: Written, tmp_path: Path, note: Note) -> None:
    verdict = replace(VERDICT, state=ReviewState(note), comment="left and right are swapped")
    told = {"job": job(), "verdict": verdict, "folder": tmp_path, "newer": "lesion-finder 1.3 on revision 1"}
    path = withdraw(done.objects, note, **told).path
    assert_valid(path, done.sources[0])
    assert_consistent(done.sources, [*done.paths, path])
    assert_same_patient(done.sources[0], [path])


def test_a_note_without_the_result_s_files_is_valid(done: Written, tmp_path: Path) -> None:
    gone = [replace(item, path=tmp_path / "gone") for item in done.objects]
    verdict = replace(VERDICT, state=ReviewState.RETRACTED, comment="left and right are swapped")
    held = identity_of(done.sources[0])
    image = dcmread(done.sources[0])
    study = {keyword: (image[keyword].value,) for keyword in ("StudyDate", "StudyTime", "StudyID", "StudyDescription")}
    told = {"job": job(), "verdict": verdict, "folder": tmp_path, "identity": held, "study": study}
    note = withdraw(gone, Note.RETRACTED, **told)
    assert_valid(note.path, done.sources[0])
    assert_same_patient(done.sources[0], [note.path])


def test_a_report_that_follows_another_is_valid(done: Written, tmp_path: Path) -> None:
    (earlier,) = [item for item in done.objects if item.kind is ObjectKind.SR]
    newer = write_result(done.sources, everything, tmp_path, key="cd" * 32, predecessor=earlier)
    assert_valid(newer.path(ObjectKind.SR), done.sources[0])
    assert_consistent(done.sources, [*done.paths, *newer.paths])


def test_objects_written_anew_for_another_patient_are_valid(done: Written, tmp_path: Path) -> None:
    held = replace(identity_of(done.sources[0]), patient_id="M7", patient_name="Lee^Ann")
    for record in readdress(done.objects, held, tmp_path):
        assert_valid(record.path, done.sources[0])
