"""Builds references to instances, in the form that highdicom expects: headers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydicom import DataElement, Dataset
from pydicom.uid import UID, CTImageStorage

from orchestrator.domain.records import ObjectRecord

_IDENTIFYING = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber"),
    *("StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"),
)


def reference(study_uid: str, series_uid: str, sop_class: str, sop_uid: str) -> Dataset:
    """Return a header with only the UIDs of an instance."""
    header = Dataset()
    header.StudyInstanceUID, header.SeriesInstanceUID = study_uid, series_uid
    header.SOPClassUID, header.SOPInstanceUID = sop_class, sop_uid
    return header


def reference_of(item: ObjectRecord) -> Dataset:
    """Return the reference to an object in the ledger."""
    return reference(item.study_uid, item.series_uid, item.sop_class, item.sop_uid)


def reference_to(dataset: Dataset) -> Dataset:
    """Return the reference to an object; Rows and Columns tell highdicom that it is an image."""
    header = reference(dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPClassUID, dataset.SOPInstanceUID)
    if "Rows" in dataset:
        header.Rows, header.Columns = dataset.Rows, dataset.Columns
    return header


def is_known_class(sop_class: str) -> bool:
    """Return whether a SOP class is a current one of the standard; highdicom refuses retired ones."""
    return not UID(sop_class).is_retired


def restore_classes(document: Dataset, classes: Mapping[str, str]) -> None:
    """Give each reference to a retired class its class. classes: SOP Instance UID -> SOP Class UID."""
    unknown = {uid: sop_class for uid, sop_class in classes.items() if not is_known_class(sop_class)}

    def restore(_: Dataset, element: DataElement) -> None:
        if element.keyword == "ReferencedSOPSequence":
            for item in element.value:
                item.ReferencedSOPClassUID = unknown.get(item.ReferencedSOPInstanceUID, item.ReferencedSOPClassUID)

    if unknown:
        document.walk(restore)


def predecessor_item(document: Dataset | ObjectRecord) -> Dataset:
    """Return the item of Predecessor Documents Sequence for a document (PS3.3 C.17.2)."""
    header = reference_of(document) if isinstance(document, ObjectRecord) else document
    instance = Dataset()
    instance.ReferencedSOPClassUID, instance.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedSOPSequence = header.SeriesInstanceUID, [instance]
    study = Dataset()
    study.StudyInstanceUID, study.ReferencedSeriesSequence = header.StudyInstanceUID, [series]
    return study


def evidence(references: Iterable[Dataset]) -> list[Dataset]:
    """Return the references as evidence for highdicom, with an empty identity.

    highdicom copies patient and study from the first header and refuses invalid values (an unknown sex, a broken
    date). The caller copies the identity of the source unchanged into the finished object instead.
    A retired class, which highdicom does not know, is replaced: the caller restores it (restore_classes).
    """
    headers = list(references)
    if not is_known_class(headers[0].SOPClassUID):
        headers[0].SOPClassUID = CTImageStorage
    for keyword in _IDENTIFYING:
        setattr(headers[0], keyword, None)
    return headers
