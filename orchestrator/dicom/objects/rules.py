"""Checks every dataset object against the host's own rules; an object that breaks one is never stored or sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from pydicom import Dataset
from pydicom.uid import UID, ParametricMapStorage

from orchestrator.dicom.objects.identity import CHARACTER_SET
from orchestrator.domain.errors import ConformanceError

_PATIENT_AND_STUDY = (
    *("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "AccessionNumber", "StudyDescription"),
)
_MADE_BY = ("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions")
_STAMPED = ("InstanceCreationDate", "InstanceCreationTime", "SeriesNumber")
_MADE_AT = {"PR": ("PresentationCreationDate", "PresentationCreationTime")}
"""Date and time of content where they have other keywords, by modality."""
_LONGEST_TEXT = 64
_PROCESSING_EQUIPMENT = "109102"


def check_object(dataset: Dataset, modules: Dataset) -> None:
    """Check an object against the rules of its type.

    modules: the patient and study modules that the object must have.
    Raises ConformanceError that lists all broken rules by keyword and UID, without values.
    """
    faults = [*_common_faults(dataset, modules), *_faults_of_type(dataset)]
    if faults:
        raise ConformanceError(_message(f"{dataset.Modality} {dataset.SOPInstanceUID}", faults))


def check_attestation(dataset: Dataset, modules: Dataset) -> None:
    """Check that a verified SR names its verifier and its predecessor (PS3.3 C.17.2) and is product content.

    Raises ConformanceError.
    """
    faults = [*_common_faults(dataset, modules), *_missing_evidence(dataset)]
    if dataset.VerificationFlag != "VERIFIED" or not dataset.get("VerifyingObserverSequence"):
        faults.append("the verifying observer is missing")
    if not dataset.get("PredecessorDocumentsSequence"):
        faults.append("PredecessorDocumentsSequence is missing")
    if dataset.ContentQualification != "PRODUCT":
        faults.append("ContentQualification is not PRODUCT")
    if faults:
        raise ConformanceError(_message(f"attestation {dataset.SOPInstanceUID}", faults))


def check_set(objects: Iterable[Dataset]) -> None:
    """Check that the objects of one job belong together: one study, and an SR that refers to SEG and maps.

    Raises ConformanceError.
    """
    objects = list(objects)
    if len({each.StudyInstanceUID for each in objects}) != 1:
        raise ConformanceError(_message("the result", ["its objects belong to different studies"]))
    for document in (each for each in objects if each.Modality == "SR"):
        if faults := list(_faults_of_references(document, objects)):
            raise ConformanceError(_message(f"SR {document.SOPInstanceUID}", faults))


def _faults_of_references(document: Dataset, objects: Iterable[Dataset]) -> Iterator[str]:
    tracking_uids, evidence = set(_values(document, "UID")), set(_evidence_uids(document))
    for each in objects:
        segments = each.SegmentSequence if each.Modality == "SEG" else []
        if any(segment.TrackingUID not in tracking_uids for segment in segments if "TrackingUID" in segment):
            yield f"a Tracking UID of SEG {each.SOPInstanceUID} is missing"
        if (each.Modality == "SEG" or each.SOPClassUID == ParametricMapStorage) and each.SOPInstanceUID not in evidence:
            yield f"{each.Modality} {each.SOPInstanceUID} is missing in its Evidence"


def _message(subject: str, faults: Sequence[str]) -> str:
    return f"{subject} was blocked: {'; '.join(faults)}. Report this as a bug"


def _common_faults(dataset: Dataset, modules: Dataset) -> Iterator[str]:
    for keyword in _PATIENT_AND_STUDY:
        if str(dataset.get(keyword) or "") != str(modules.get(keyword) or ""):
            yield f"{keyword} differs from the source"
    for keyword in (*_MADE_BY, *_STAMPED, *_MADE_AT.get(dataset.Modality, ("ContentDate", "ContentTime"))):
        if not dataset.get(keyword):
            yield f"{keyword} is empty"
    if dataset.get("SpecificCharacterSet") != CHARACTER_SET:
        yield f"SpecificCharacterSet is not {CHARACTER_SET}"
    if dataset.get("ContentQualification") not in {"PRODUCT", "RESEARCH", "SERVICE"}:
        yield "ContentQualification is missing"
    if not 0 < len(str(dataset.get("SeriesDescription") or "")) <= _LONGEST_TEXT:
        yield "SeriesDescription is empty or too long"
    for keyword in ("SeriesInstanceUID", "SOPInstanceUID"):
        if not str(dataset[keyword].value).startswith("2.25.") or not UID(dataset[keyword].value).is_valid:
            yield f"{keyword} is not a UID of this host"
    purposes = [each.PurposeOfReferenceCodeSequence[0] for each in dataset.get("ContributingEquipmentSequence", [])]
    if not any(purpose.CodeValue == _PROCESSING_EQUIPMENT for purpose in purposes):
        yield "ContributingEquipmentSequence lacks (109102, DCM, Processing Equipment)"


def _sr_faults(dataset: Dataset) -> Iterator[str]:
    """Yield the faults of an AI SR: it must be unverified (PS3.3 C.17.2) and list its references in Evidence."""
    if dataset.get("CompletionFlag") != "COMPLETE":
        yield "CompletionFlag is not COMPLETE"
    if dataset.get("VerificationFlag") != "UNVERIFIED" or "VerifyingObserverSequence" in dataset:
        yield "VerificationFlag is not UNVERIFIED"
    if dataset.get("PreliminaryFlag") != "PRELIMINARY":
        yield "PreliminaryFlag is not PRELIMINARY"
    if "UNVERIFIED" not in dataset.SeriesDescription:
        yield "SeriesDescription does not say UNVERIFIED"
    yield from _missing_evidence(dataset)


def _missing_evidence(dataset: Dataset) -> Iterator[str]:
    missing = {uid for item in dataset.ContentSequence for uid in _referenced_uids(item)} - set(_evidence_uids(dataset))
    if missing:
        yield f"references that are missing in Evidence: {len(missing)}"


def _seg_faults(dataset: Dataset) -> Iterator[str]:
    """Yield the faults of a SEG: frames, pixels, segments."""
    if "UNVERIFIED" not in dataset.SeriesDescription:
        yield "SeriesDescription does not say UNVERIFIED"
    frames = int(dataset.NumberOfFrames)
    bits = frames * dataset.Rows * dataset.Columns * dataset.BitsAllocated
    if frames == 0 or "PerFrameFunctionalGroupsSequence" not in dataset:
        yield "there are no frames"
    if len(dataset.PixelData) != (bits + 15) // 16 * 2:
        yield "the length of PixelData does not match the frames"
    for segment in dataset.SegmentSequence:
        if segment.SegmentAlgorithmType != "AUTOMATIC" or "RecommendedDisplayCIELabValue" not in segment:
            yield f"segment {segment.SegmentNumber} is not AUTOMATIC with a display colour"
        if len(segment.SegmentLabel) > _LONGEST_TEXT:
            yield f"the label of segment {segment.SegmentNumber} is too long"
    if "ReferencedSeriesSequence" not in dataset:
        yield "ReferencedSeriesSequence is missing"


def _map_faults(dataset: Dataset) -> Iterator[str]:
    """Yield the faults of a Parametric Map: frames, pixels, real world values, window."""
    if "UNVERIFIED" not in dataset.SeriesDescription:
        yield "SeriesDescription does not say UNVERIFIED"
    frames = int(dataset.NumberOfFrames)
    if frames == 0 or len(dataset.PerFrameFunctionalGroupsSequence) != frames:
        yield "the functional groups do not match the number of frames"
    if dataset.get("BitsAllocated") != 32 or len(dataset.FloatPixelData) != 4 * frames * dataset.Rows * dataset.Columns:
        yield "the length of FloatPixelData does not match the frames"
    shared = dataset.SharedFunctionalGroupsSequence[0]
    if "RealWorldValueMappingSequence" not in shared or "FrameVOILUTSequence" not in shared:
        yield "real world value mapping or window is missing"
    if "ReferencedSeriesSequence" not in dataset:
        yield "ReferencedSeriesSequence is missing"


def _evidence_uids(document: Dataset) -> Iterator[str]:
    for study in document.get("CurrentRequestedProcedureEvidenceSequence", []):
        for series in study.ReferencedSeriesSequence:
            for instance in series.ReferencedSOPSequence:
                yield instance.ReferencedSOPInstanceUID


def _referenced_uids(item: Dataset) -> Iterator[str]:
    for reference in item.get("ReferencedSOPSequence", []):
        yield reference.ReferencedSOPInstanceUID
    for child in item.get("ContentSequence", []):
        yield from _referenced_uids(child)


def _values(item: Dataset, keyword: str) -> Iterator[str]:
    if keyword in item:
        yield item[keyword].value
    for child in item.get("ContentSequence", []):
        yield from _values(child, keyword)


_CHECKS: dict[str, Callable[[Dataset], Iterator[str]]] = {
    "SR": _sr_faults,
    "SEG": _seg_faults,
    "KO": _missing_evidence,
}


def _faults_of_type(dataset: Dataset) -> Iterator[str]:
    if dataset.SOPClassUID == ParametricMapStorage:
        yield from _map_faults(dataset)
    elif dataset.Modality in _CHECKS:
        yield from _CHECKS[dataset.Modality](dataset)
