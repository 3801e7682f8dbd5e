"""Builds key object selections: a list "Of Interest" of the images with findings (PS3.3 A.35.4, TID 2010).

The list has source images only, because a destination may get it without the other objects of the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from pydicom import Dataset
from pydicom.sr.codedict import codes

from orchestrator.dicom.objects import provenance
from orchestrator.dicom.objects.identity import CHARACTER_SET
from orchestrator.dicom.objects.provenance import Clock, DerivedUids
from orchestrator.dicom.objects.references import evidence, reference, restore_classes
from orchestrator.dicom.read.grid import FrameReference
from orchestrator.dicom.result.grid_result import GridResult
from orchestrator.dicom.result.key_slices import key_slices
from orchestrator.dicom.sr.report import name_coding_schemes, observer
from orchestrator.domain.model import ModelDescription
from orchestrator.domain.result import Presence

KIND = "KO"
_LONGEST_DESCRIPTION = 1024


def key_object(
    grid_results: Sequence[GridResult], *, model: ModelDescription, clock: Clock, uids: DerivedUids
) -> Dataset | None:
    """Return the key object selection of a job, complete except for check and storage; None without key slices."""
    images = [
        (grid_result, grid_result.frame(place)) for grid_result in grid_results for place in key_slices(grid_result)
    ]
    if not images:
        return None
    headers = {frame.sop_uid: _image(grid_result, frame) for grid_result, frame in images}
    references = evidence(headers.values())
    source = grid_results[0].source
    names = dict.fromkeys(name for grid_result in grid_results for name in _names(grid_result))
    equipment = provenance.equipment(model)
    document: Dataset = KeyObjectSelectionDocument(
        evidence=references,
        content=KeyObjectSelection(
            document_title=codes.DCM.OfInterest,
            referenced_objects=references,
            observer_device_context=observer(model),
            description=f"{provenance.UNVERIFIED}: {', '.join(names)}"[:_LONGEST_DESCRIPTION],
        ),
        series_instance_uid=uids.of(KIND, "series"),
        series_number=provenance.series_number(model, KIND),
        sop_instance_uid=uids.of(KIND),
        instance_number=1,
        manufacturer=equipment.Manufacturer,
        manufacturer_model_name=equipment.ManufacturerModelName,
        software_versions=list(equipment.SoftwareVersions),
        device_serial_number=equipment.DeviceSerialNumber,
        specific_character_set=CHARACTER_SET,
        series_description=provenance.series_description(model, "key object", source.grid.count.views),
    )
    _correct_references(document, [frame for _, frame in images])
    restore_classes(document, {frame.sop_uid: frame.sop_class for _, frame in images})
    document.update(source.modules)
    document.ContentQualification = provenance.qualification(model, source.header.get("ContentQualification") or "")
    document.ContributingEquipmentSequence = [provenance.contribution(model, clock)]
    name_coding_schemes(document)
    provenance.stamp(document, clock, uids, KIND)
    return document


def _image(grid_result: GridResult, frame: FrameReference) -> Dataset:
    """Return the reference to an image; Rows and Columns tell highdicom that it is an image."""
    source = grid_result.source
    header = reference(source.modules.StudyInstanceUID, source.series_uid, frame.sop_class, frame.sop_uid)
    header.Rows, header.Columns = source.grid.shape[1:3]
    return header


def _correct_references(document: Dataset, images: Sequence[FrameReference]) -> None:
    """Remove the concept names of references (TID 2010) and add the frame numbers of multi-frame images."""
    numbers: dict[str, list[int]] = {}
    for frame in images:
        numbers.setdefault(frame.sop_uid, []).extend(frame.numbers or ())
    for item in document.ContentSequence:
        if item.ValueType == "IMAGE":
            item.pop("ConceptNameCodeSequence", None)
            image = item.ReferencedSOPSequence[0]
            if numbers[image.ReferencedSOPInstanceUID]:
                image.ReferencedFrameNumber = sorted(numbers[image.ReferencedSOPInstanceUID])


def _names(grid_result: GridResult) -> Iterator[str]:
    """Yield the names of the findings, or of the segments where there is no finding."""
    findings = [finding for finding in grid_result.result.findings if finding.presence is not Presence.ABSENT]
    yield from (finding.name.meaning for finding in findings)
    if not findings:
        yield from (segment.segment.label for segment in grid_result.segments)
