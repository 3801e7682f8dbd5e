"""Rules for each SOP class that the host sends. A class without a rule here is never stored or sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.uid import (
    UID,
    AcquisitionContextSRStorage,
    BasicTextSRStorage,
    ChestCADSRStorage,
    ColonCADSRStorage,
    ColorSoftcopyPresentationStateStorage,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalXRayImageStorageForPresentation,
    EncapsulatedMTLStorage,
    EncapsulatedOBJStorage,
    EncapsulatedPDFStorage,
    EncapsulatedSTLStorage,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    EnhancedPETImageStorage,
    EnhancedSRStorage,
    EnhancedXRayRadiationDoseSRStorage,
    ExtensibleSRStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    ImplantationPlanSRStorage,
    KeyObjectSelectionDocumentStorage,
    MammographyCADSRStorage,
    MRImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameSingleBitSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    ParametricMapStorage,
    PatientRadiationDoseSRStorage,
    PerformedImagingAgentAdministrationSRStorage,
    PlannedImagingAgentAdministrationSRStorage,
    PositronEmissionTomographyImageStorage,
    ProcedureLogStorage,
    PseudoColorSoftcopyPresentationStateStorage,
    RadiopharmaceuticalRadiationDoseSRStorage,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    SimplifiedAdultEchoSRStorage,
    WaveformAnnotationSRStorage,
    XRayRadiationDoseSRStorage,
)

from orchestrator.dicom.objects.write_options import LABEL_MAP_STORAGE

REPORTS = frozenset(
    {
        *(BasicTextSRStorage, EnhancedSRStorage, ComprehensiveSRStorage, Comprehensive3DSRStorage, ExtensibleSRStorage),
        *(MammographyCADSRStorage, ChestCADSRStorage, ColonCADSRStorage, SimplifiedAdultEchoSRStorage),
        *(AcquisitionContextSRStorage, ProcedureLogStorage, ImplantationPlanSRStorage, WaveformAnnotationSRStorage),
        *(XRayRadiationDoseSRStorage, EnhancedXRayRadiationDoseSRStorage, PatientRadiationDoseSRStorage),
        *(RadiopharmaceuticalRadiationDoseSRStorage, PlannedImagingAgentAdministrationSRStorage),
        PerformedImagingAgentAdministrationSRStorage,
    }
)
"""SOP classes with the SR Document General module (PS3.3 C.17.2), which has a Verification Flag."""
SEGMENTATIONS = frozenset({SegmentationStorage, LABEL_MAP_STORAGE})
PRESENTATION_STATES = frozenset(
    {
        GrayscaleSoftcopyPresentationStateStorage,
        ColorSoftcopyPresentationStateStorage,
        PseudoColorSoftcopyPresentationStateStorage,
    }
)
_SECONDARY_CAPTURES = frozenset(
    {
        SecondaryCaptureImageStorage,
        MultiFrameSingleBitSecondaryCaptureImageStorage,
        MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
        MultiFrameTrueColorSecondaryCaptureImageStorage,
    }
)
_DOCUMENTS = frozenset({EncapsulatedPDFStorage, EncapsulatedSTLStorage, EncapsulatedOBJStorage, EncapsulatedMTLStorage})
"""Encapsulated CDA is missing on purpose: its XML can name a legal authenticator, which the host does not check."""
_IMAGES = frozenset(
    {
        *(CTImageStorage, EnhancedCTImageStorage, MRImageStorage, EnhancedMRImageStorage),
        *(PositronEmissionTomographyImageStorage, EnhancedPETImageStorage, ComputedRadiographyImageStorage),
        *(DigitalXRayImageStorageForPresentation, DigitalMammographyXRayImageStorageForPresentation),
    }
)
_LONGEST_LABEL = 64  # VR LO


@dataclass(frozen=True, slots=True)
class ClassRule:
    """What the host requires of the objects of a SOP class.

    faults: yields the broken rules.
    modality: the only valid Modality; empty where the class allows several.
    dated: keywords of the date and time of the content.
    """

    faults: Callable[[Dataset], Iterator[str]]
    modality: str = ""
    dated: tuple[str, str] = ("ContentDate", "ContentTime")


def class_rule(dataset: Dataset) -> ClassRule | None:
    """Return the rule for the SOP class of an object, None where there is none."""
    return _RULES.get(sop_class(dataset))


def sop_class(dataset: Dataset) -> str:
    """Return the SOP Class UID of an object, empty where absent."""
    return str(dataset.get("SOPClassUID") or "")


def missing_rule(dataset: Dataset) -> str:
    """Return the message for an object whose SOP class has no rule."""
    uid = sop_class(dataset)
    name = UID(uid).name
    described = f"{name} ({uid})" if name != uid else uid or "(absent)"
    return (
        f"{dataset.get('Modality') or 'object'} {dataset.SOPInstanceUID} was blocked: "
        f"the host sends no objects of SOP class {described}. "
        "Let the plugin write another class, such as Encapsulated PDF, Secondary Capture or SR"
    )


def class_faults(dataset: Dataset, rule: ClassRule) -> Iterator[str]:
    """Yield what breaks the rule of the object's SOP class; nothing but an attestation may be verified."""
    yield from modality_faults(dataset, rule)
    if dataset.get("VerificationFlag", "UNVERIFIED") != "UNVERIFIED" or "VerifyingObserverSequence" in dataset:
        yield "VerificationFlag is not UNVERIFIED"
    yield from rule.faults(dataset)


def modality_faults(dataset: Dataset, rule: ClassRule) -> Iterator[str]:
    """Yield a fault where Modality or the file meta information contradict the SOP class."""
    if rule.modality and dataset.get("Modality") != rule.modality:
        yield f"Modality is not {rule.modality}"
    meta = getattr(dataset, "file_meta", None) or Dataset()
    if meta.get("MediaStorageSOPClassUID", dataset.SOPClassUID) != dataset.SOPClassUID:
        yield "MediaStorageSOPClassUID is not SOPClassUID"


def reference_faults(dataset: Dataset) -> Iterator[str]:
    """Yield a fault where the content refers to instances that Evidence does not list."""
    content = dataset.get("ContentSequence") or []
    missing = {uid for item in content for uid in _referenced_uids(item)} - set(evidence_uids(dataset))
    if missing:
        yield f"references that are missing in Evidence: {len(missing)}"


def evidence_uids(document: Dataset) -> Iterator[str]:
    """Yield the SOP Instance UIDs that a document lists as evidence."""
    for study in document.get("CurrentRequestedProcedureEvidenceSequence", []):
        for series in study.ReferencedSeriesSequence:
            for instance in series.ReferencedSOPSequence:
                yield instance.ReferencedSOPInstanceUID


def _referenced_uids(item: Dataset) -> Iterator[str]:
    for reference in item.get("ReferencedSOPSequence", []):
        yield reference.ReferencedSOPInstanceUID
    for child in item.get("ContentSequence", []):
        yield from _referenced_uids(child)


def _report_faults(dataset: Dataset) -> Iterator[str]:
    """Yield the faults of an AI SR: it must be unverified (PS3.3 C.17.2) and list its references in Evidence."""
    if dataset.get("CompletionFlag") != "COMPLETE":
        yield "CompletionFlag is not COMPLETE"
    if "VerificationFlag" not in dataset:
        yield "VerificationFlag is not UNVERIFIED"
    if dataset.get("PreliminaryFlag") != "PRELIMINARY":
        yield "PreliminaryFlag is not PRELIMINARY"
    yield from _description_faults(dataset)
    yield from reference_faults(dataset)


def _description_faults(dataset: Dataset) -> Iterator[str]:
    if "UNVERIFIED" not in str(dataset.get("SeriesDescription") or ""):
        yield "SeriesDescription does not say UNVERIFIED"


def _segmentation_faults(dataset: Dataset) -> Iterator[str]:
    """Yield the faults of a SEG: frames, pixels, segments."""
    yield from _description_faults(dataset)
    frames = int(dataset.NumberOfFrames)
    bits = frames * dataset.Rows * dataset.Columns * dataset.BitsAllocated
    if frames == 0 or "PerFrameFunctionalGroupsSequence" not in dataset:
        yield "there are no frames"
    if len(dataset.PixelData) != (bits + 15) // 16 * 2:
        yield "the length of PixelData does not match the frames"
    for segment in dataset.SegmentSequence:
        if segment.SegmentAlgorithmType != "AUTOMATIC" or "RecommendedDisplayCIELabValue" not in segment:
            yield f"segment {segment.SegmentNumber} is not AUTOMATIC with a display colour"
        if len(segment.SegmentLabel) > _LONGEST_LABEL:
            yield f"the label of segment {segment.SegmentNumber} is too long"
    yield from _series_reference_faults(dataset)


def _map_faults(dataset: Dataset) -> Iterator[str]:
    """Yield the faults of a Parametric Map: frames, pixels, real world values, window."""
    yield from _description_faults(dataset)
    frames = int(dataset.NumberOfFrames)
    if frames == 0 or len(dataset.PerFrameFunctionalGroupsSequence) != frames:
        yield "the functional groups do not match the number of frames"
    if dataset.get("BitsAllocated") != 32 or len(dataset.FloatPixelData) != 4 * frames * dataset.Rows * dataset.Columns:
        yield "the length of FloatPixelData does not match the frames"
    shared = dataset.SharedFunctionalGroupsSequence[0]
    if "RealWorldValueMappingSequence" not in shared or "FrameVOILUTSequence" not in shared:
        yield "real world value mapping or window is missing"
    yield from _series_reference_faults(dataset)


def _series_reference_faults(dataset: Dataset) -> Iterator[str]:
    if "ReferencedSeriesSequence" not in dataset:
        yield "ReferencedSeriesSequence is missing"


def _picture_faults(dataset: Dataset) -> Iterator[str]:
    if not dataset.get("PixelData"):
        yield "PixelData is empty"


def _image_faults(dataset: Dataset) -> Iterator[str]:
    """Yield the faults of an image of a modality: it must not pass for an acquired one."""
    if "DERIVED" not in list(dataset.get("ImageType") or [])[:1]:
        yield "ImageType is not DERIVED"
    yield from _picture_faults(dataset)


def _document_faults(dataset: Dataset) -> Iterator[str]:
    if not dataset.get("EncapsulatedDocument"):
        yield "EncapsulatedDocument is empty"


def _contour_faults(dataset: Dataset) -> Iterator[str]:
    """Yield the faults of an RT Structure Set: nobody has approved it (PS3.3 C.8.8.16)."""
    if dataset.get("ApprovalStatus") != "UNAPPROVED" or dataset.get("ReviewerName"):
        yield "ApprovalStatus is not UNAPPROVED"


def _rules_for(classes: Iterable[str], rule: ClassRule) -> dict[str, ClassRule]:
    return {str(uid): rule for uid in classes}


_RULES: Mapping[str, ClassRule] = {
    **_rules_for(REPORTS, ClassRule(_report_faults, "SR")),
    **_rules_for(SEGMENTATIONS, ClassRule(_segmentation_faults, "SEG")),
    **_rules_for(
        PRESENTATION_STATES,
        ClassRule(_series_reference_faults, "PR", ("PresentationCreationDate", "PresentationCreationTime")),
    ),
    **_rules_for(_SECONDARY_CAPTURES, ClassRule(_picture_faults)),
    **_rules_for(_DOCUMENTS, ClassRule(_document_faults)),
    **_rules_for(_IMAGES, ClassRule(_image_faults)),
    str(ParametricMapStorage): ClassRule(_map_faults),
    str(KeyObjectSelectionDocumentStorage): ClassRule(reference_faults, "KO"),
    str(RTStructureSetStorage): ClassRule(_contour_faults, "RTSTRUCT"),
}
