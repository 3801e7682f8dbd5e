"""Objects that wait while their patient is corrected or merged: written anew for the identity the archive names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path

from pydicom import Dataset, dcmread

from orchestrator.dicom.objects.identity import put_identity
from orchestrator.dicom.objects.rules import check_object, check_set
from orchestrator.dicom.objects.storage import store
from orchestrator.dicom.objects.uid import derived_uid
from orchestrator.domain.records import ObjectRecord
from orchestrator.domain.series import StudyIdentity


def readdress(objects: Sequence[ObjectRecord], identity: StudyIdentity, folder: Path) -> tuple[ObjectRecord, ...]:
    """Return the same objects for another identity, under new UIDs that follow from the old ones and it.

    Contents, dates and references to the images stay; the old files stay too, since a crash may come
    before the ledger knows the new ones. Raises ConformanceError.
    """
    written = [dcmread(record.path) for record in objects]
    uids = _new_uids(written, identity)
    for dataset in written:
        replace_uids(dataset, uids)
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        check_object(dataset, put_identity(dataset, identity))
    check_set(written)
    return tuple(
        store(dataset, record.job_key, folder, record.form, record.kind)
        for dataset, record in zip(written, objects, strict=True)
    )


def _new_uids(written: Iterable[Dataset], identity: StudyIdentity) -> Mapping[str, str]:
    """Return new UIDs for what the host made, and the study's as the archive has it now."""
    uids: dict[str, str] = {}
    for dataset in written:
        uids[dataset.StudyInstanceUID] = identity.study_uid or dataset.StudyInstanceUID
        for segment in dataset.get("SegmentSequence", []):
            if "TrackingUID" in segment:
                uids[segment.TrackingUID] = derived_uid("readdressed", segment.TrackingUID, *astuple(identity))
        for own in (dataset.SOPInstanceUID, dataset.SeriesInstanceUID):
            uids[own] = derived_uid("readdressed", own, *astuple(identity))
    return uids


def replace_uids(dataset: Dataset, uids: Mapping[str, str]) -> None:
    """Replace each UID wherever it stands: in the object itself, in references, in content items."""
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                replace_uids(item, uids)
        elif element.VR == "UI" and isinstance(element.value, str) and element.value in uids:
            element.value = uids[element.value]
