"""What a radiologist leaves in an archive about a result: a verified report, an edited segmentation, a rejection note.

Made as other programs make them: new UIDs of other makers, highdicom for the segmentation and the note.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from highdicom.seg import Segmentation, SegmentDescription
from highdicom.sr import CodeContentItem, ObserverContext, PersonObserverIdentifyingAttributes, RelationshipTypeValues
from pydicom import Dataset, dcmread
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from orchestrator.dicom.objects import sr_tree

OTHER_MAKER = {
    "manufacturer": "Viewers Inc",
    "manufacturer_model_name": "Reader",
    "software_versions": "9",
    "device_serial_number": "7",
}


def verified(ours: Dataset, *, predecessor: bool = True, by: str = "Okafor^Ada", change: float = 1.0) -> Dataset:
    """Return a verified report with the contents of ours.

    predecessor: it names ours as its predecessor; else it only refers to it, as evidence.
    change: what the first volume is multiplied with.
    """
    report = copy.deepcopy(ours)
    _as_others_write(report)
    report.VerificationFlag, report.PreliminaryFlag = "VERIFIED", "FINAL"
    report.VerifyingObserverSequence = [_observer(by)] if by else []
    reference = _study_reference(ours)
    if predecessor:
        report.PredecessorDocumentsSequence = [reference]
    else:
        report.PertinentOtherEvidenceSequence = [reference]
    for volume in _volumes(report)[:1]:
        volume.MeasuredValueSequence[0].NumericValue = float(volume.MeasuredValueSequence[0].NumericValue) * change
    return report


def edited(
    sources: Sequence[Path],
    masks: dict[str, np.ndarray[Any, Any]],
    refers_to: Dataset | None,
    *,
    describe: Callable[[SegmentDescription], None] = lambda _: None,
) -> Dataset:
    """Return a segmentation of these images that was drawn by hand, slices in the order of the files.

    refers_to: the segmentation that it was made from, None where it does not say.
    describe: changes each segment's description before it is written.
    """
    described = [_described(number, label) for number, label in enumerate(masks, 1)]
    for each in described:
        describe(each)
    seg: Dataset = Segmentation(
        source_images=[dcmread(path) for path in sources],
        pixel_array=np.stack(list(masks.values()), axis=-1).astype(np.uint8),
        segmentation_type="BINARY",
        segment_descriptions=described,
        series_instance_uid=generate_uid(),
        series_number=7,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        **OTHER_MAKER,
    )
    if refers_to is not None:
        seg.ReferencedSeriesSequence.append(_series_reference(refers_to, "ReferencedInstanceSequence"))
    return seg


def rejected(objects: Sequence[Dataset], *, title: str = "113001", reason: Code | None = None, by: str = "") -> Dataset:
    """Return a rejection note (IHE IOCM) that names these objects."""
    named = [_header(each) for each in objects]
    observer = None
    if by:
        who = PersonObserverIdentifyingAttributes(name=by, organization_name="St. Anna")
        observer = ObserverContext(observer_type=codes.DCM.Person, observer_identifying_attributes=who)
    note: Dataset = KeyObjectSelectionDocument(
        evidence=named,
        content=KeyObjectSelection(
            document_title=Code(title, "DCM", "Title"), referenced_objects=named, observer_person_context=observer
        ),
        series_instance_uid=generate_uid(),
        series_number=8,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        **OTHER_MAKER,
    )
    if reason is not None:
        why = CodeContentItem(codes.DCM.DocumentTitleModifier, reason, RelationshipTypeValues.HAS_CONCEPT_MOD)
        note.ContentSequence.insert(0, why)
    return note


def saved(written: Dataset, folder: Path) -> Path:
    """Return the file of an object, named by its UID."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{written.SOPInstanceUID}.dcm"
    written.save_as(path, enforce_file_format=True)
    return path


def _as_others_write(written: Dataset) -> None:
    written.SOPInstanceUID, written.SeriesInstanceUID = generate_uid(), generate_uid()
    written.file_meta.MediaStorageSOPInstanceUID = written.SOPInstanceUID
    written.file_meta.ImplementationClassUID = generate_uid()
    written.Manufacturer, written.ManufacturerModelName = OTHER_MAKER["manufacturer"], "Reader"
    del written.ContributingEquipmentSequence


def _observer(by: str) -> Dataset:
    observer = Dataset()
    observer.VerifyingObserverName, observer.VerifyingOrganization = by, "St. Anna"
    observer.VerificationDateTime = "20260302120000"
    observer.VerifyingObserverIdentificationCodeSequence = []
    return observer


def _study_reference(ours: Dataset) -> Dataset:
    study = Dataset()
    study.StudyInstanceUID = ours.StudyInstanceUID
    study.ReferencedSeriesSequence = [_series_reference(ours, "ReferencedSOPSequence")]
    return study


def _series_reference(ours: Dataset, keyword: str) -> Dataset:
    instance = Dataset()
    instance.ReferencedSOPClassUID, instance.ReferencedSOPInstanceUID = ours.SOPClassUID, ours.SOPInstanceUID
    series = Dataset()
    series.SeriesInstanceUID = ours.SeriesInstanceUID
    setattr(series, keyword, [instance])
    return series


def _volumes(report: Dataset) -> list[Dataset]:
    return [
        item
        for group in sr_tree.groups(report)
        for item in sr_tree.children(group)
        if sr_tree.is_number(item) and sr_tree.concept(item) == "118565006"
    ]


def _described(number: int, label: str) -> SegmentDescription:
    return SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=codes.SCT.Organ,
        algorithm_type="MANUAL",
    )


def _header(written: Dataset) -> Dataset:
    header = copy.copy(written)
    for keyword in ("PixelData", "PerFrameFunctionalGroupsSequence"):
        if keyword in header:
            del header[keyword]
    header.file_meta = copy.copy(written.file_meta)
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return header
