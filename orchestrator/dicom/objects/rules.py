"""The host's own rules for every object it writes; nothing that breaks one may leave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

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
"""The date and time of content, where they are called otherwise."""
_LONGEST_TEXT = 64
_PROCESSING_EQUIPMENT = "109102"


def check_object(written: Dataset, modules: Dataset) -> None:
    """Return when an object keeps every rule of design/results.md that is cheap to check.

    modules: patient and study that it must carry. Raises ConformanceError with all broken rules,
    by keyword and UID, without values.
    """
    broken = [*_common(written, modules), *_rule_of(written)(written)]
    if broken:
        raise ConformanceError(f"{written.Modality} {written.SOPInstanceUID} must not leave: {'; '.join(broken)}")


def check_attestation(written: Dataset, modules: Dataset) -> None:
    """Return when a verified SR says who verified what (PS3.3 C.17.2) and is on no research content.

    Raises ConformanceError.
    """
    broken = [*_common(written, modules), *_unlisted(written)]
    if written.VerificationFlag != "VERIFIED" or not written.get("VerifyingObserverSequence"):
        broken.append("nobody verified it")
    if not written.get("PredecessorDocumentsSequence"):
        broken.append("PredecessorDocumentsSequence is missing")
    if written.ContentQualification != "PRODUCT":
        broken.append("ContentQualification is not PRODUCT")
    if broken:
        raise ConformanceError(f"attestation {written.SOPInstanceUID} must not leave: {'; '.join(broken)}")


def check_set(objects: Iterable[Dataset]) -> None:
    """Return when the objects of one job fit together: one study, tracking UIDs of the SEG in the SR.

    Raises ConformanceError.
    """
    objects = list(objects)
    if len({written.StudyInstanceUID for written in objects}) != 1:
        raise ConformanceError("the objects of one job lie in different studies")
    segs = [written for written in objects if written.Modality == "SEG"]
    for document in (written for written in objects if written.Modality == "SR"):
        tracked = set(_values(document, "UID"))
        listed = set(_listed(document))
        for seg in segs:
            if any(segment.TrackingUID not in tracked for segment in seg.SegmentSequence if "TrackingUID" in segment):
                raise ConformanceError(f"SR {document.SOPInstanceUID} lacks a Tracking UID of SEG {seg.SOPInstanceUID}")
        for written in objects:
            if _is_shown(written) and written.SOPInstanceUID not in listed:
                what = f"{written.Modality} {written.SOPInstanceUID}"
                raise ConformanceError(f"SR {document.SOPInstanceUID} lacks {what} in its Evidence")


def _is_shown(written: Dataset) -> bool:
    return bool(written.SOPClassUID == ParametricMapStorage or written.Modality == "SEG")


def _common(written: Dataset, modules: Dataset) -> Iterator[str]:
    for keyword in _PATIENT_AND_STUDY:
        if str(written.get(keyword) or "") != str(modules.get(keyword) or ""):
            yield f"{keyword} differs from the source"
    for keyword in (*_MADE_BY, *_STAMPED, *_MADE_AT.get(written.Modality, ("ContentDate", "ContentTime"))):
        if not written.get(keyword):
            yield f"{keyword} is empty"
    if written.get("SpecificCharacterSet") != CHARACTER_SET:
        yield f"SpecificCharacterSet is not {CHARACTER_SET}"
    if written.get("ContentQualification") not in {"PRODUCT", "RESEARCH", "SERVICE"}:
        yield "ContentQualification is missing"
    if not 0 < len(str(written.get("SeriesDescription") or "")) <= _LONGEST_TEXT:
        yield "SeriesDescription is empty or too long"
    for keyword in ("SeriesInstanceUID", "SOPInstanceUID"):
        if not str(written[keyword].value).startswith("2.25.") or not UID(written[keyword].value).is_valid:
            yield f"{keyword} is no UID of this host"
    if not any(_is_processing(item) for item in written.get("ContributingEquipmentSequence", [])):
        yield "ContributingEquipmentSequence lacks (109102, DCM, Processing Equipment)"


def _is_processing(item: Dataset) -> bool:
    return bool(item.PurposeOfReferenceCodeSequence[0].CodeValue == _PROCESSING_EQUIPMENT)


def _document(written: Dataset) -> Iterator[str]:
    """Yield what is wrong with a machine-written SR: unsigned (PS3.3 C.17.2), references in Evidence."""
    if written.get("CompletionFlag") != "COMPLETE":
        yield "CompletionFlag is not COMPLETE"
    if written.get("VerificationFlag") != "UNVERIFIED" or "VerifyingObserverSequence" in written:
        yield "VerificationFlag is not UNVERIFIED"
    if written.get("PreliminaryFlag") != "PRELIMINARY":
        yield "PreliminaryFlag is not PRELIMINARY"
    if "UNVERIFIED" not in written.SeriesDescription:
        yield "SeriesDescription does not say UNVERIFIED"
    yield from _unlisted(written)


def _unlisted(written: Dataset) -> Iterator[str]:
    missing = {uid for item in written.ContentSequence for uid in _referenced(item)} - set(_listed(written))
    if missing:
        yield f"{len(missing)} referenced instances are not in Evidence"


def _segmentation(written: Dataset) -> Iterator[str]:
    """Yield what is wrong with a SEG: its frames, its pixels, its segments."""
    if "UNVERIFIED" not in written.SeriesDescription:
        yield "SeriesDescription does not say UNVERIFIED"
    frames = int(written.NumberOfFrames)
    bits = frames * written.Rows * written.Columns * written.BitsAllocated
    if frames == 0 or "PerFrameFunctionalGroupsSequence" not in written:
        yield "it has no frames"
    if len(written.PixelData) != (bits + 15) // 16 * 2:
        yield "PixelData has another length than its frames need"
    for segment in written.SegmentSequence:
        if segment.SegmentAlgorithmType != "AUTOMATIC" or "RecommendedDisplayCIELabValue" not in segment:
            yield f"segment {segment.SegmentNumber} is not AUTOMATIC with a display colour"
        if len(segment.SegmentLabel) > _LONGEST_TEXT:
            yield f"the label of segment {segment.SegmentNumber} is too long"
    if "ReferencedSeriesSequence" not in written:
        yield "ReferencedSeriesSequence is missing"


def _map(written: Dataset) -> Iterator[str]:
    """Yield what is wrong with a Parametric Map: its frames, its pixels, what they mean."""
    if "UNVERIFIED" not in written.SeriesDescription:
        yield "SeriesDescription does not say UNVERIFIED"
    frames = int(written.NumberOfFrames)
    if frames == 0 or len(written.PerFrameFunctionalGroupsSequence) != frames:
        yield "it describes other frames than it has"
    if written.get("BitsAllocated") != 32 or len(written.FloatPixelData) != 4 * frames * written.Rows * written.Columns:
        yield "FloatPixelData has another length than its frames need"
    shared = written.SharedFunctionalGroupsSequence[0]
    if "RealWorldValueMappingSequence" not in shared or "FrameVOILUTSequence" not in shared:
        yield "it does not say what its values mean and how they are shown"
    if "ReferencedSeriesSequence" not in written:
        yield "ReferencedSeriesSequence is missing"


def _listed(document: Dataset) -> Iterator[str]:
    for study in document.get("CurrentRequestedProcedureEvidenceSequence", []):
        for series in study.ReferencedSeriesSequence:
            for instance in series.ReferencedSOPSequence:
                yield instance.ReferencedSOPInstanceUID


def _referenced(item: Dataset) -> Iterator[str]:
    for reference in item.get("ReferencedSOPSequence", []):
        yield reference.ReferencedSOPInstanceUID
    for child in item.get("ContentSequence", []):
        yield from _referenced(child)


def _values(item: Dataset, keyword: str) -> Iterator[str]:
    if keyword in item:
        yield item[keyword].value
    for child in item.get("ContentSequence", []):
        yield from _values(child, keyword)


def _rule_of(written: Dataset) -> Callable[[Dataset], Iterator[str]]:
    return _map if written.SOPClassUID == ParametricMapStorage else _RULES.get(written.Modality, _no_rule)


def _no_rule(_: Dataset) -> Iterator[str]:
    return iter(())


_RULES: dict[str, Callable[[Dataset], Iterator[str]]] = {
    "SR": _document,
    "SEG": _segmentation,
    "KO": _unlisted,
}
