"""References to instances in the form that highdicom wants: as headers."""

from __future__ import annotations

from collections.abc import Iterable

from pydicom import Dataset

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


def reference_to(written: Dataset) -> Dataset:
    """Return such a header of an object; of an image, with the size by which highdicom tells images."""
    header = reference(written.StudyInstanceUID, written.SeriesInstanceUID, written.SOPClassUID, written.SOPInstanceUID)
    if "Rows" in written:
        header.Rows, header.Columns = written.Rows, written.Columns
    return header


def evidence(references: Iterable[Dataset]) -> list[Dataset]:
    """Return headers for highdicom, which copies patient and study from the first one.

    They are empty there and copied into the finished object: highdicom refuses values that it finds
    odd (a sex of its own, a broken date), but what the source says must stay as it is.
    """
    listed = list(references)
    for keyword in _IDENTIFYING:
        setattr(listed[0], keyword, None)
    return listed
