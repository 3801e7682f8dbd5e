"""What a radiologist leaves in the archive counts as the review where it surely is one; all else leaves an event."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import DataElement, Dataset
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

from orchestrator.dicom import identity_of, read_instance
from orchestrator.dicom.objects import sr_tree
from orchestrator.domain.errors import ArchiveUnavailable
from orchestrator.domain.job import JobState
from orchestrator.domain.reading import SecondReader
from orchestrator.domain.records import JobRecord, ObjectKind, ReviewRecord
from orchestrator.domain.review import ReviewState
from orchestrator.domain.series import StudyIdentity
from orchestrator.ledger import Ledger
from orchestrator.pipeline.delivery.destination import Destination
from orchestrator.pipeline.review.document_verdicts import IGNORED, LATE, NO_AGREEMENT, TrustedSources, Verdicts
from tests.data.records import NOON, series_record
from tests.data.series import ct_series
from tests.parts.dicom.reading import edited, rejected, saved, verified
from tests.parts.dicom.written import Written, box, everything, job, write_result

KEY = "ab" * 32
IMAGING_MEASUREMENTS = "126010"
PARTS = (IMAGING_MEASUREMENTS, "126011", "C0034375")
"""Imaging Measurements, Derived Imaging Measurements and Qualitative Evaluations of TID 1500."""


def part(report: Dataset, concept: str) -> list[Dataset]:
    """Return the groups (125007, DCM) in one part of a report, to be changed."""
    (found,) = [item.ContentSequence for item in report.ContentSequence if sr_tree.concept(item) == concept]
    return found  # type: ignore[no-any-return]


def measurement_groups(report: Dataset) -> list[Dataset]:
    """Return the groups under Imaging Measurements, to be changed."""
    return part(report, IMAGING_MEASUREMENTS)


class Asked:
    """Stands where an archive is asked whose study it holds."""

    name = "pacs"

    def __init__(self) -> None:
        self.held: StudyIdentity | None = None
        self.away = False

    def identity(self, study_uid: str) -> StudyIdentity | None:
        if self.away:
            raise ArchiveUnavailable("away")
        return self.held


class Reading:
    """A result that waits for a verdict, and who takes up what comes."""

    def __init__(self, folder: Path, ledger: Ledger, written: Written) -> None:
        self.folder = folder
        self.ledger = ledger
        self.written = written
        self.sr, self.seg = written.read(ObjectKind.SR), written.read(ObjectKind.SEG)
        self.archive = Asked()
        self.told: list[tuple[ReviewState, ReviewState]] = []
        study = str(self.sr.StudyInstanceUID)
        ledger.series.put(series_record(series_uid="1.2.3", study_uid=study), ())
        ledger.jobs.add(job(key=KEY, study_uid=study))
        ledger.objects.put(KEY, written.objects)
        ledger.reviews.open(KEY, NOON)
        self.second_reader = SecondReader.NONE

    def take(self, written: Dataset, *, source: str = "pacs", calling: str = "") -> ReviewRecord:
        """Return the review after the object was taken up."""
        verdicts = Verdicts(
            self.ledger,
            TrustedSources(frozenset({"pacs"}), frozenset({"READER"})),
            destinations={"pacs": Destination("pacs", self.archive)},  # type: ignore[arg-type]
            review_changed=self._tell,
            clock=lambda: NOON,
            second_reader=self.second_reader,
        )
        verdicts.take(read_instance(saved(written, self.folder)), source=source, calling=calling)
        return self.review

    @property
    def review(self) -> ReviewRecord:
        found = self.ledger.reviews.newest(KEY)
        assert found is not None
        return found

    def said(self, kind: str) -> list[str]:
        return [event.text for event in self.ledger.events.newest(kind=kind)]

    @property
    def files(self) -> list[Path]:
        """Return the source images in the order of the slices."""
        return [frame.path for frame in self.written.grids[0].frames]

    def _tell(self, _: JobRecord, before: ReviewRecord, after: ReviewRecord) -> None:
        self.told.append((before.state, after.state))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("written")
    return write_result(ct_series(folder / "in"), everything, folder / "out")


@pytest.fixture
def reading(tmp_path: Path, written: Written) -> Iterator[Reading]:
    with closing(Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        yield Reading(tmp_path / "left", ledger, written)


def test_a_verified_report_accepts_the_result_that_it_follows(reading: Reading) -> None:
    report = verified(reading.sr)
    review = reading.take(report)
    assert (review.state, review.by, review.organization) == (ReviewState.ACCEPTED, "Ada Okafor", "St. Anna")
    assert (review.source, review.evidence, review.changes) == ("pacs", report.SOPInstanceUID, ())
    assert reading.told == [(ReviewState.PENDING, ReviewState.ACCEPTED)]


@pytest.mark.parametrize("predecessor", [True, False])
def test_a_verified_report_with_another_number_corrects_the_result(reading: Reading, predecessor: bool) -> None:
    review = reading.take(verified(reading.sr, predecessor=predecessor, change=1.5))
    assert review.state is ReviewState.CORRECTED
    (change,) = review.changes
    assert (change["what"], change["unit"]) == ("Volume of Lesion", "ml")
    assert change["after"] == pytest.approx(1.5 * change["before"])  # type: ignore[operator]


def test_a_report_that_repeats_what_the_result_says_accepts_it(reading: Reading) -> None:
    assert reading.take(verified(reading.sr, predecessor=False)).state is ReviewState.ACCEPTED


def test_a_report_that_only_cites_the_result_says_nothing_about_it(reading: Reading) -> None:
    report = verified(reading.sr, predecessor=False)
    for concept in PARTS:
        part(report, concept).clear()
    assert reading.take(report).state is ReviewState.PENDING
    assert "repeats none of its measurements" in reading.said(IGNORED)[0]


def test_what_a_verified_report_leaves_out_is_corrected(reading: Reading) -> None:
    report = verified(reading.sr)
    del measurement_groups(report)[0]
    review = reading.take(report)
    assert review.state is ReviewState.CORRECTED
    left_out = {change["what"]: change["after"] for change in review.changes}
    assert left_out["Volume of Lesion"] is None


def test_an_outline_that_was_moved_is_corrected(reading: Reading) -> None:
    report = verified(reading.sr)
    outlines = [item for group in measurement_groups(report) for item in group.ContentSequence]
    drawn = next(item for item in outlines if item.ValueType == "SCOORD")
    drawn.GraphicData = [value + 2.0 for value in drawn.GraphicData]
    (change,) = reading.take(report).changes
    assert (change["what"], change["after"]) == ("Outline of Lesion", "drawn anew")


def masks(reading: Reading) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the model's liver and one with some of its slices left out."""
    liver = box(reading.written.grids[0])
    less = liver.copy()
    less[:8] = False
    return liver, less


def test_an_edited_segmentation_corrects_the_result_and_names_nobody(reading: Reading) -> None:
    liver, less = masks(reading)
    review = reading.take(edited(reading.files, {"Liver": less}, reading.seg))
    dice = 2 * (liver & less).sum() / (liver.sum() + less.sum())
    assert (review.state, review.by, review.source) == (ReviewState.CORRECTED, "", "pacs")
    assert review.agreement == {"Liver": pytest.approx(dice), "Lesion": 0.0}


def test_a_segmentation_of_the_same_images_that_does_not_name_ours_is_none_of_ours(reading: Reading) -> None:
    assert reading.take(edited(reading.files, {"Liver": masks(reading)[0]}, None)).state is ReviewState.PENDING
    assert reading.said(IGNORED)[0].endswith("it refers to no object of this host")


def test_a_segmentation_on_another_grid_corrects_without_a_number(reading: Reading, tmp_path: Path) -> None:
    others = ct_series(tmp_path / "other", rows=32, columns=32)
    drawn = np.ones((len(others), 32, 32), bool)
    review = reading.take(edited(others, {"Liver": drawn}, reading.seg))
    assert (review.state, review.agreement) == (ReviewState.CORRECTED, {})
    assert "32 x 32 pixels" in reading.said(NO_AGREEMENT)[0]


IOCM = {
    "113001": "Rejected for Quality Reasons (113001, DCM)",
    "113037": "Rejected for Patient Safety Reasons (113037, DCM)",
    "113038": "Incorrect Modality Worklist Entry (113038, DCM)",
}


@pytest.mark.parametrize("title", IOCM)
def test_a_rejection_note_rejects_the_result(reading: Reading, title: str) -> None:
    review = reading.take(rejected([reading.seg], title=title, by="Okafor^Ada"))
    assert (review.state, review.by, review.organization) == (ReviewState.REJECTED, "Ada Okafor", "St. Anna")
    assert review.reason == IOCM[title]


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        (Code("111207", "DCM", "Image artifact(s)"), "Image artifact(s) (111207, DCM)"),
        (Code("incomplete", "99ORCH", "Finding or outline is incomplete"), "incomplete"),
    ],
)
def test_the_coded_reason_of_a_rejection_is_kept(reading: Reading, reason: Code, kept: str) -> None:
    assert reading.take(rejected([reading.sr, reading.seg], reason=reason)).reason == kept


@pytest.mark.parametrize("title", ["113000", "113039"])
def test_a_selection_that_judges_nothing_leaves_an_event(reading: Reading, title: str) -> None:
    assert reading.take(rejected([reading.seg], title=title)).state is ReviewState.PENDING
    assert reading.said(IGNORED)[0].endswith("its title rejects nothing")


def another_patient(written: Dataset) -> Dataset:
    written.PatientID = "P2"
    return written


REFUSED: dict[str, tuple[Callable[[Reading], Dataset], dict[str, str], str]] = {
    "another archive": (lambda it: verified(it.sr), {"source": "other"}, "do not trust the source"),
    "a sender who is not trusted": (
        lambda it: verified(it.sr),
        {"source": "receiver", "calling": "CT1"},
        "do not trust the source",
    ),
    "our own": (lambda it: it.sr, {}, "this host wrote it"),
    "verified by nobody": (lambda it: verified(it.sr, by=""), {}, "does not say by whom"),
    "another patient's report": (lambda it: another_patient(verified(it.sr)), {}, "its PatientID is not that"),
    "another patient's note": (lambda it: another_patient(rejected([it.seg])), {}, "its PatientID is not that"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_count_leaves_an_event_that_says_why(reading: Reading, name: str) -> None:
    make, way, why = REFUSED[name]
    assert reading.take(make(reading), **way).state is ReviewState.PENDING
    (text,) = reading.said(IGNORED)
    assert why in text
    assert "P2" not in text


def test_an_unverified_report_about_the_result_leaves_an_event(reading: Reading) -> None:
    report = verified(reading.sr)
    report.VerificationFlag = "UNVERIFIED"
    assert reading.take(report).state is ReviewState.PENDING
    assert reading.said(IGNORED)[0].endswith("it is not verified")


def test_an_unverified_report_about_something_else_leaves_nothing(reading: Reading) -> None:
    report = verified(reading.sr)
    report.VerificationFlag = "UNVERIFIED"
    report.PredecessorDocumentsSequence = []
    report.CurrentRequestedProcedureEvidenceSequence = []
    report.ContentSequence = []
    reading.take(report)
    assert reading.said(IGNORED) == []


def test_a_trusted_sender_counts_by_its_title(reading: Reading) -> None:
    assert reading.take(verified(reading.sr), source="receiver", calling="READER").source == "READER"


def test_a_report_that_is_broken_leaves_an_event(reading: Reading) -> None:
    note = rejected([reading.seg])
    del note.ConceptNameCodeSequence
    assert reading.take(note).state is ReviewState.PENDING
    assert "cannot be read as SR, SEG or KO" in reading.said(IGNORED)[0]


def test_the_same_object_twice_is_one_verdict_and_one_event(reading: Reading) -> None:
    report, foreign = verified(reading.sr), edited(reading.files, {"Liver": masks(reading)[0]}, None)
    for written in (report, report, foreign, foreign):
        reading.take(written)
    assert len(reading.ledger.reviews.of_job(KEY)) == 2
    assert len(reading.said(IGNORED)) == 1


def test_an_object_that_was_overruled_since_does_not_count_again(reading: Reading) -> None:
    report = verified(reading.sr)
    reading.take(report)
    reading.take(rejected([reading.sr]))
    assert reading.take(report).state is ReviewState.REJECTED


def test_a_verdict_on_a_superseded_result_comes_too_late(reading: Reading) -> None:
    reading.ledger.jobs.move(KEY, JobState.SUPERSEDED)
    assert reading.take(verified(reading.sr)).state is ReviewState.SUPERSEDED
    assert "when the result was superseded" in reading.said(LATE)[0]


def test_what_a_person_said_before_is_told_in_the_event(reading: Reading) -> None:
    reading.take(rejected([reading.sr], by="Okafor^Ada"))
    reading.take(rejected([reading.sr]))
    assert "Ada Okafor already rejected this" in reading.said(LATE)[0]


def test_where_a_second_reader_is_due_the_archive_can_bring_the_first_and_the_second(reading: Reading) -> None:
    reading.second_reader = SecondReader.ALL
    assert reading.take(verified(reading.sr)).state is ReviewState.SECOND_READER
    assert reading.take(verified(reading.sr, by="Lee^Ann")).state is ReviewState.ACCEPTED


def test_what_names_nobody_is_no_second_reading(reading: Reading) -> None:
    reading.second_reader = SecondReader.ALL
    reading.take(rejected([reading.sr], by="Okafor^Ada"))
    assert reading.take(rejected([reading.sr])).state is ReviewState.SECOND_READER
    assert reading.said(IGNORED)[0].endswith("the second reader must be named, but the document names nobody")


def test_a_patient_who_was_merged_since_is_known_from_the_archive(reading: Reading, written: Written) -> None:
    reading.archive.held = replace(identity_of(written.paths[0]), patient_id="P2")
    assert reading.take(another_patient(verified(reading.sr))).state is ReviewState.ACCEPTED


def test_a_study_of_another_patient_that_the_archive_holds_is_another_study(reading: Reading) -> None:
    report = another_patient(verified(reading.sr))
    report.StudyInstanceUID = generate_uid()
    reading.archive.held = identity_of(saved(report, reading.folder))
    assert reading.take(report).state is ReviewState.PENDING
    assert reading.said(IGNORED)[0].endswith("it is of another study")


def test_while_the_archive_is_away_that_decides_nothing(reading: Reading) -> None:
    reading.archive.away = True
    with pytest.raises(ArchiveUnavailable):
        reading.take(another_patient(verified(reading.sr)))
    assert reading.said(IGNORED) == []


def test_without_its_file_nothing_is_compared(reading: Reading) -> None:
    gone = [replace(item, path=reading.folder / "gone.dcm") for item in reading.written.objects]
    reading.ledger.objects.put(KEY, gone)
    reading.archive.held = identity_of(reading.written.paths[0])
    assert reading.take(verified(reading.sr)).state is ReviewState.PENDING
    assert "made room" in reading.said(IGNORED)[0]
    review = reading.take(edited(reading.files, {"Liver": masks(reading)[0]}, reading.seg))
    assert (review.state, review.agreement) == (ReviewState.CORRECTED, {})


def report_of(reading: Reading, data: st.DataObject) -> Dataset:
    change, predecessor = data.draw(st.floats(0.1, 10.0)), data.draw(st.booleans())
    return verified(reading.sr, predecessor=predecessor, change=change)


def segmentation_of(reading: Reading, data: st.DataObject) -> Dataset:
    return edited(reading.files, {"Liver": masks(reading)[data.draw(st.integers(0, 1))]}, reading.seg)


def note_of(reading: Reading, data: st.DataObject) -> Dataset:
    named = data.draw(st.sampled_from([[reading.seg], [reading.sr], [reading.sr, reading.seg]]))
    return rejected(named, title=data.draw(st.sampled_from(list(IOCM))), by="Okafor^Ada")


def renamed(written: Dataset, ours: frozenset[str]) -> Dataset:
    """Return the object with a new UID wherever it names one of ours."""

    def rename(_: Dataset, element: DataElement) -> None:
        if element.keyword == "ReferencedSOPInstanceUID" and str(element.value) in ours:
            element.value = generate_uid()

    written.walk(rename)
    return written


@given(data=st.data(), make=st.sampled_from([report_of, segmentation_of, note_of]))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_object_without_a_reference_to_ours_changes_a_review(
    reading: Reading, data: st.DataObject, make: Callable[[Reading, st.DataObject], Dataset]
) -> None:
    """Each of these would be a verdict, but for the UIDs."""
    ours = frozenset(str(item.sop_uid) for item in reading.written.objects)
    reading.take(renamed(make(reading, data), ours))
    assert [review.state for review in reading.ledger.reviews.of_job(KEY)] == [ReviewState.PENDING]
