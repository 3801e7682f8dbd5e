"""An object that breaks a rule does not leave, and the fault says which rule."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from orchestrator.dicom.objects.identity import patient_and_study
from orchestrator.dicom.objects.rules import check_attestation, check_object, check_set
from orchestrator.domain.errors import ConformanceError
from orchestrator.domain.records import ObjectKind
from tests.parts.dicom.written import Written, everything_and_maps, write_result

Change = Callable[[Dataset], Any]


@pytest.fixture(scope="module")
def done(ct: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write_result(ct, everything_and_maps, tmp_path_factory.mktemp("written"))


def setting(keyword: str, value: Any) -> Change:
    return lambda written: setattr(written, keyword, value)


def deleting(keyword: str) -> Change:
    return lambda written: delattr(written, keyword)


BOTH: list[tuple[Change, str]] = [
    (setting("PatientID", "SOMEONE-ELSE"), "PatientID differs from the source"),
    (setting("PatientName", "Else^Someone"), "PatientName differs from the source"),
    (setting("AccessionNumber", ""), "AccessionNumber differs"),
    (deleting("IssuerOfPatientID"), "IssuerOfPatientID differs"),
    (setting("Manufacturer", ""), "Manufacturer is empty"),
    (deleting("DeviceSerialNumber"), "DeviceSerialNumber is empty"),
    (setting("SpecificCharacterSet", "ISO_IR 100"), "SpecificCharacterSet is not ISO_IR 192"),
    (deleting("ContentQualification"), "ContentQualification is missing"),
    (setting("SeriesDescription", "A report"), "does not say UNVERIFIED"),
    (setting("SeriesDescription", "AI UNVERIFIED " + "x" * 64), "too long"),
    (setting("SOPInstanceUID", "1.2.3"), "SOPInstanceUID is not a UID of this host"),
    (setting("ContributingEquipmentSequence", []), "lacks (109102, DCM, Processing Equipment)"),
]
OF_AN_SR: list[tuple[Change, str]] = [
    (setting("VerificationFlag", "VERIFIED"), "VerificationFlag is not UNVERIFIED"),
    (setting("VerifyingObserverSequence", []), "VerificationFlag is not UNVERIFIED"),
    (setting("CompletionFlag", "PARTIAL"), "CompletionFlag is not COMPLETE"),
    (setting("PreliminaryFlag", "FINAL"), "PreliminaryFlag is not PRELIMINARY"),
    (setting("CurrentRequestedProcedureEvidenceSequence", []), "references that are missing in Evidence: "),
]
OF_A_SEG: list[tuple[Change, str]] = [
    (setting("NumberOfFrames", 1), "length of PixelData"),
    (deleting("PerFrameFunctionalGroupsSequence"), "there are no frames"),
    (deleting("ReferencedSeriesSequence"), "ReferencedSeriesSequence is missing"),
    (lambda seg: setattr(seg.SegmentSequence[0], "SegmentAlgorithmType", "MANUAL"), "segment 1 is not AUTOMATIC"),
    (lambda seg: delattr(seg.SegmentSequence[1], "RecommendedDisplayCIELabValue"), "segment 2 is not AUTOMATIC"),
    (lambda seg: setattr(seg.SegmentSequence[1], "SegmentLabel", "x" * 65), "label of segment 2 is too long"),
]
OF_A_MAP: list[tuple[Change, str]] = [
    (setting("NumberOfFrames", 1), "functional groups do not match the number of frames"),
    (lambda pm: setattr(pm, "FloatPixelData", pm.FloatPixelData[:-4]), "length of FloatPixelData"),
    (deleting("ReferencedSeriesSequence"), "ReferencedSeriesSequence is missing"),
    (lambda pm: delattr(pm.SharedFunctionalGroupsSequence[0], "FrameVOILUTSequence"), "window is missing"),
    (
        lambda pm: delattr(pm.SharedFunctionalGroupsSequence[0], "RealWorldValueMappingSequence"),
        "real world value mapping or",
    ),
]
CASES = [
    *((ObjectKind.PM, *case) for case in BOTH + OF_A_MAP),
    *((ObjectKind.SR, *case) for case in BOTH + OF_AN_SR),
    *((ObjectKind.SEG, *case) for case in BOTH + OF_A_SEG),
]


@pytest.mark.parametrize(("kind", "change", "fault"), CASES, ids=[f"{kind} {fault}" for kind, _, fault in CASES])
@pytest.mark.filterwarnings("ignore:The value length")
def test_a_broken_rule_is_named(done: Written, ct: list[Path], kind: ObjectKind, change: Change, fault: str) -> None:
    written = done.read(kind)
    change(written)
    with pytest.raises(ConformanceError) as refused:
        check_object(written, patient_and_study(dcmread(ct[0])))
    assert fault in str(refused.value)


@pytest.mark.parametrize("kind", [ObjectKind.SR, ObjectKind.SEG, ObjectKind.PM])
def test_what_the_host_writes_breaks_none(done: Written, ct: list[Path], kind: ObjectKind) -> None:
    check_object(done.read(kind), patient_and_study(dcmread(ct[0])))


def test_a_fault_tells_no_patient_data(done: Written, ct: list[Path]) -> None:
    written = done.read(ObjectKind.SR)
    written.PatientName, written.PatientID = "Secret^Name", "SECRET-ID"
    with pytest.raises(ConformanceError) as refused:
        check_object(written, patient_and_study(dcmread(ct[0])))
    assert not any(word in str(refused.value) for word in ("Secret", "SECRET", "Phantom", "PHANTOM"))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (setting("StudyInstanceUID", "1.2"), "different studies"),
        (lambda seg: setattr(seg.SegmentSequence[0], "TrackingUID", "1.2"), "a Tracking UID of SEG .* is missing"),
        (setting("SOPInstanceUID", "2.25.1"), "is missing in its Evidence"),
    ],
)
def test_objects_that_do_not_fit_together_do_not_leave(done: Written, change: Change, fault: str) -> None:
    seg = done.read(ObjectKind.SEG)
    change(seg)
    with pytest.raises(ConformanceError, match=fault):
        check_set([seg, done.read(ObjectKind.SR)])


def test_a_map_that_its_report_does_not_list_does_not_leave(done: Written) -> None:
    heat = done.read(ObjectKind.PM)
    heat.SOPInstanceUID = "2.25.1"
    with pytest.raises(ConformanceError, match=r"OT 2\.25\.1 is missing in its Evidence"):
        check_set([heat, done.read(ObjectKind.SR)])


def test_an_unsigned_report_is_no_attestation(done: Written, ct: list[Path]) -> None:
    with pytest.raises(ConformanceError) as refused:
        check_attestation(done.read(ObjectKind.SR), patient_and_study(dcmread(ct[0])))
    for fault in (
        "verifying observer is missing",
        "PredecessorDocumentsSequence",
        "ContentQualification is not PRODUCT",
    ):
        assert fault in str(refused.value)
