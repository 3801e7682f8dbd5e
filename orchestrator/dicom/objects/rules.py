"""Checks every dataset object against the host's own rules; an object that breaks one is never stored or sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pydicom import Dataset
from pydicom.uid import UID, ParametricMapStorage

from orchestrator.dicom.objects.class_rules import (
    REPORTS,
    SEGMENTATIONS,
    ClassRule,
    class_faults,
    class_rule,
    evidence_uids,
    missing_rule,
    modality_faults,
    reference_faults,
    sop_class,
)
from orchestrator.dicom.objects.identity import CHARACTER_SET
from orchestrator.domain.errors import ConformanceError

_PATIENT_AND_STUDY = (
    *("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "AccessionNumber", "StudyDescription"),
)
_MADE_BY = ("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions")
_STAMPED = ("InstanceCreationDate", "InstanceCreationTime", "SeriesNumber")
_LONGEST_TEXT = 64
_PROCESSING_EQUIPMENT = "109102"


def check_object(dataset: Dataset, modules: Dataset) -> None:
    """Check an object against the rule of its SOP class; no other attribute selects the rule.

    modules: the patient and study modules that the object must have.
    Raises ConformanceError that lists all broken rules by keyword and UID, without values, or that names a SOP class
    without a rule.
    """
    rule = class_rule(dataset)
    if rule is None:
        raise ConformanceError(missing_rule(dataset))
    faults = [*_common_faults(dataset, modules, rule), *class_faults(dataset, rule)]
    if faults:
        raise ConformanceError(_message(f"{dataset.get('Modality')} {dataset.SOPInstanceUID}", faults))


def check_attestation(dataset: Dataset, modules: Dataset) -> None:
    """Check that a verified SR names its verifier and its predecessor (PS3.3 C.17.2) and is product content.

    Raises ConformanceError.
    """
    rule = class_rule(dataset)
    if rule is None or sop_class(dataset) not in REPORTS:
        fault = "SOPClassUID is not that of a report"
        raise ConformanceError(_message(f"attestation {dataset.SOPInstanceUID}", [fault]))
    faults = [
        *_common_faults(dataset, modules, rule),
        *modality_faults(dataset, rule),
        *reference_faults(dataset),
    ]
    if dataset.get("VerificationFlag") != "VERIFIED" or not _names_observers(dataset):
        faults.append("the verifying observer is missing")
    if not dataset.get("PredecessorDocumentsSequence"):
        faults.append("PredecessorDocumentsSequence is missing")
    if dataset.get("ContentQualification") != "PRODUCT":
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
    for document in (each for each in objects if sop_class(each) in REPORTS):
        if faults := list(_faults_of_references(document, objects)):
            raise ConformanceError(_message(f"SR {document.SOPInstanceUID}", faults))


def _faults_of_references(document: Dataset, objects: Iterable[Dataset]) -> Iterator[str]:
    tracking_uids, evidence = set(_values(document, "UID")), set(evidence_uids(document))
    for each in objects:
        is_seg = sop_class(each) in SEGMENTATIONS
        segments = each.SegmentSequence if is_seg else []
        if any(segment.TrackingUID not in tracking_uids for segment in segments if "TrackingUID" in segment):
            yield f"a Tracking UID of SEG {each.SOPInstanceUID} is missing"
        if (is_seg or each.SOPClassUID == ParametricMapStorage) and each.SOPInstanceUID not in evidence:
            yield f"{each.Modality} {each.SOPInstanceUID} is missing in its Evidence"


def _names_observers(document: Dataset) -> bool:
    """Return whether a document has verifying observers and each has a name (PS3.3 C.17.2)."""
    observers = document.get("VerifyingObserverSequence") or []
    return bool(observers) and all(str(each.get("VerifyingObserverName") or "").strip("^= ") for each in observers)


def _message(subject: str, faults: Sequence[str]) -> str:
    return f"{subject} was blocked: {'; '.join(faults)}. Report this as a bug"


def _common_faults(dataset: Dataset, modules: Dataset, rule: ClassRule) -> Iterator[str]:
    for keyword in _PATIENT_AND_STUDY:
        if str(dataset.get(keyword) or "") != str(modules.get(keyword) or ""):
            yield f"{keyword} differs from the source"
    for keyword in (*_MADE_BY, *_STAMPED, *rule.dated):
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


def _values(item: Dataset, keyword: str) -> Iterator[str]:
    if keyword in item:
        yield item[keyword].value
    for child in item.get("ContentSequence", []):
        yield from _values(child, keyword)
