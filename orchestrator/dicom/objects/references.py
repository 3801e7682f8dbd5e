"""References to instances in the form that highdicom wants: as headers."""

from __future__ import annotations

from collections.abc import Iterable

from pydicom import Dataset

from orchestrator.domain.records import ObjectRecord

_IDENTIFYING = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber"),
    *("StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"),
)


def reference(study_uid: str, series_uid: str, sop_class: str, sop_uid: str) -> Dataset:
    """Return a header that names an instance and nothing else."""
    header = Dataset()
    header.StudyInstanceUID, header.SeriesInstanceUID = study_uid, series_uid
    header.SOPClassUID, header.SOPInstanceUID = sop_class, sop_uid
    return header


def reference_of(item: ObjectRecord) -> Dataset:
    """Return such a header of an object that the ledger knows."""
    return reference(item.study_uid, item.series_uid, item.sop_class, item.sop_uid)


def reference_to(written: Dataset) -> Dataset:
    """Return such a header of an object; of an image, with the size by which highdicom tells images."""
    header = reference(written.StudyInstanceUID, written.SeriesInstanceUID, written.SOPClassUID, written.SOPInstanceUID)
    if "Rows" in written:
        header.Rows, header.Columns = written.Rows, written.Columns
    return header


def predecessor_item(document: Dataset | ObjectRecord) -> Dataset:
    """Return the item by which a report names this one as its predecessor (PS3.3 C.17.2)."""
    named = reference_of(document) if isinstance(document, ObjectRecord) else document
    instance = Dataset()
    instance.ReferencedSOPClassUID, instance.ReferencedSOPInstanceUID = named.SOPClassUID, named.SOPInstanceUID
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedSOPSequence = named.SeriesInstanceUID, [instance]
    study = Dataset()
    study.StudyInstanceUID, study.ReferencedSeriesSequence = named.StudyInstanceUID, [series]
    return study


def evidence(references: Iterable[Dataset]) -> list[Dataset]:
    """Return headers for highdicom, which copies patient and study from the first one.

    They are empty there and copied into the finished object: highdicom refuses values that it finds
    odd (a sex of its own, a broken date), but what the source says must stay as it is.
    """
    listed = list(references)
    for keyword in _IDENTIFYING:
        setattr(listed[0], keyword, None)
    return listed
