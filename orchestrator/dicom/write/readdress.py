"""Rewrites stored objects for a corrected or merged patient, before they are sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path

from pydicom import Dataset, dcmread

from orchestrator.dicom.objects.identity import set_identity
from orchestrator.dicom.objects.rules import check_object, check_set
from orchestrator.dicom.objects.storage import store
from orchestrator.dicom.objects.uid import derive_uid
from orchestrator.domain.records import ObjectRecord
from orchestrator.domain.series import StudyIdentity


def readdress(objects: Sequence[ObjectRecord], identity: StudyIdentity, folder: Path) -> tuple[ObjectRecord, ...]:
    """Write copies of the objects with another identity; return their records.

    New UIDs are derived from the old UIDs and the identity. Contents, dates and references to the images stay.
    The old files stay too, because a crash may happen before the ledger has the new ones.
    Raises ConformanceError.
    """
    datasets = [dcmread(record.path) for record in objects]
    uids = _new_uids(datasets, identity)
    for dataset in datasets:
        replace_uids(dataset, uids)
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        check_object(dataset, set_identity(dataset, identity))
    check_set(datasets)
    return tuple(
        store(dataset, record.job_key, folder, record.form, record.kind)
        for dataset, record in zip(datasets, objects, strict=True)
    )


def _new_uids(datasets: Iterable[Dataset], identity: StudyIdentity) -> Mapping[str, str]:
    """Return old -> new UID for everything the host generated, and for the study."""
    uids: dict[str, str] = {}
    for dataset in datasets:
        uids[dataset.StudyInstanceUID] = identity.study_uid or dataset.StudyInstanceUID
        for segment in dataset.get("SegmentSequence", []):
            if "TrackingUID" in segment:
                uids[segment.TrackingUID] = derive_uid("readdressed", segment.TrackingUID, *astuple(identity))
        for own in (dataset.SOPInstanceUID, dataset.SeriesInstanceUID):
            uids[own] = derive_uid("readdressed", own, *astuple(identity))
    return uids


def replace_uids(dataset: Dataset, uids: Mapping[str, str]) -> None:
    """Replace each UID everywhere: in the object itself, in references, in content items."""
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                replace_uids(item, uids)
        elif element.VR == "UI" and isinstance(element.value, str) and element.value in uids:
            element.value = uids[element.value]
