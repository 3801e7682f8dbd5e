"""The SOP class picks the rule: no other attribute lets an object leave as verified, and an unknown class stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread, uid

from orchestrator.dicom import WriteOptions, gather, plan, read_instance, store_plugin_objects
from orchestrator.dicom.objects.identity import patient_and_study
from orchestrator.dicom.objects.rules import check_attestation, check_object
from orchestrator.domain.errors import ConformanceError
from orchestrator.domain.model import Accepts
from orchestrator.domain.records import ObjectKind
from tests.parts.dicom.written import Written, everything_and_maps, one_segment, write_result

MODALITIES = ["SR", "OT", "DOC", "KO", "AU", "PR", "SEG", "SR ", ""]
REPORTS = [
    *(uid.BasicTextSRStorage, uid.EnhancedSRStorage, uid.ComprehensiveSRStorage, uid.Comprehensive3DSRStorage),
    *(uid.ExtensibleSRStorage, uid.MammographyCADSRStorage, uid.ChestCADSRStorage, uid.ColonCADSRStorage),
    *(uid.ProcedureLogStorage, uid.SimplifiedAdultEchoSRStorage, uid.XRayRadiationDoseSRStorage),
]
LABEL_MAP = uid.UID("1.2.840.10008.5.1.4.1.1.66.7")
UNKNOWN = [
    *(uid.RawDataStorage, uid.EncapsulatedCDAStorage, uid.SurfaceSegmentationStorage, uid.RTPlanStorage),
    *(uid.UID("1.2.840.10008.5.1.4.1.1.88.1"), uid.SpectaclePrescriptionReportStorage, uid.UID("1.2.3.4.5")),
    *(uid.UID("1.2.840.10008.5.1.4.1.1.88.99"), uid.UID("1.2.840.10008.5.1.4.1.1.88.34.1"), uid.UID("")),
]
OTHERS = [
    *(uid.KeyObjectSelectionDocumentStorage, uid.GrayscaleSoftcopyPresentationStateStorage, uid.SegmentationStorage),
    *(LABEL_MAP, uid.ParametricMapStorage, uid.SecondaryCaptureImageStorage, uid.EncapsulatedPDFStorage),
]
OPTIONS = WriteOptions(objects=frozenset(ObjectKind) - {ObjectKind.OTHER})


@pytest.fixture(scope="module")
def done(ct: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write_result(ct, everything_and_maps, tmp_path_factory.mktemp("written"), options=OPTIONS)


@pytest.fixture(scope="module")
def modules(ct: list[Path]) -> Dataset:
    return patient_and_study(dcmread(ct[0]))


def of_class(dataset: Dataset, sop_class: str) -> Dataset:
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = uid.UID(sop_class)
    return dataset


def verified(dataset: Dataset) -> Dataset:
    dataset.VerificationFlag, dataset.PreliminaryFlag = "VERIFIED", "FINAL"
    return dataset


def refusal(dataset: Dataset, modules: Dataset) -> str:
    with pytest.raises(ConformanceError) as refused:
        check_object(dataset, modules)
    return str(refused.value)


def pdf(done: Written, **values: Any) -> Dataset:
    """Return a plugin's report as PDF with the modules of a key image."""
    dataset = of_class(done.read(ObjectKind.SC), uid.EncapsulatedPDFStorage)
    del dataset.PixelData
    dataset.Modality, dataset.MIMETypeOfEncapsulatedDocument = "DOC", "application/pdf"
    dataset.EncapsulatedDocument = b"%PDF-1.4"
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def label_map(ct: list[Path], folder: Path) -> Dataset:
    options = WriteOptions(label_map=True)
    return write_result(ct, one_segment, folder, options=options).read(ObjectKind.SEG)


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("sop_class", REPORTS, ids=lambda each: each.keyword)
def test_a_verified_report_does_not_leave(done: Written, modules: Dataset, sop_class: uid.UID, modality: str) -> None:
    document = of_class(verified(done.read(ObjectKind.SR)), sop_class)
    document.Modality = modality
    assert "VerificationFlag is not UNVERIFIED" in refusal(document, modules)


@pytest.mark.parametrize("modality", [each for each in MODALITIES if each != "SR"])
def test_a_report_has_the_modality_of_its_class(done: Written, modules: Dataset, modality: str) -> None:
    document = done.read(ObjectKind.SR)
    document.Modality = modality
    assert "Modality is not SR" in refusal(document, modules)


@pytest.mark.parametrize("sop_class", REPORTS, ids=lambda each: each.keyword)
def test_an_unverified_report_leaves(done: Written, modules: Dataset, sop_class: uid.UID) -> None:
    check_object(of_class(done.read(ObjectKind.SR), sop_class), modules)


def test_a_report_without_a_flag_does_not_leave(done: Written, modules: Dataset) -> None:
    document = done.read(ObjectKind.SR)
    del document.VerificationFlag
    assert "VerificationFlag is not UNVERIFIED" in refusal(document, modules)


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("sop_class", UNKNOWN, ids=lambda each: str(each).strip() or "absent")
def test_what_no_rule_knows_does_not_leave(done: Written, modules: Dataset, sop_class: uid.UID, modality: str) -> None:
    document = of_class(done.read(ObjectKind.SR), sop_class)
    document.Modality = modality
    message = refusal(document, modules)
    assert f"sends no objects of SOP class {sop_class.name if sop_class else '(absent)'}" in message
    assert "Let the plugin write another class" in message


@pytest.mark.parametrize("kind", [ObjectKind.KO, ObjectKind.PR, ObjectKind.SEG, ObjectKind.PM, ObjectKind.SC])
def test_other_objects_leave_unverified_only(done: Written, modules: Dataset, kind: ObjectKind) -> None:
    check_object(done.read(kind), modules)
    assert "VerificationFlag is not UNVERIFIED" in refusal(verified(done.read(kind)), modules)


def test_a_label_map_leaves_unverified_only(ct: list[Path], tmp_path: Path, modules: Dataset) -> None:
    seg = label_map(ct, tmp_path)
    assert seg.SOPClassUID == LABEL_MAP
    check_object(seg, modules)
    assert "VerificationFlag is not UNVERIFIED" in refusal(verified(seg), modules)


@pytest.mark.parametrize("modality", ["DOC", "OT", "SR", "SEG"])
def test_a_pdf_of_a_plugin_leaves_unverified_only(done: Written, modules: Dataset, modality: str) -> None:
    check_object(pdf(done, Modality=modality), modules)
    check_object(pdf(done, Modality=modality, VerificationFlag="UNVERIFIED"), modules)
    marks: list[dict[str, Any]] = [
        {"VerificationFlag": "VERIFIED"},
        {"VerificationFlag": None},
        {"VerifyingObserverSequence": []},
    ]
    for values in marks:
        assert "VerificationFlag is not UNVERIFIED" in refusal(pdf(done, Modality=modality, **values), modules)
    assert "EncapsulatedDocument is empty" in refusal(pdf(done, EncapsulatedDocument=b""), modules)


@pytest.mark.parametrize("sop_class", OTHERS, ids=lambda each: each.keyword or "label map")
def test_a_file_that_names_two_classes_does_not_leave(done: Written, modules: Dataset, sop_class: uid.UID) -> None:
    document = done.read(ObjectKind.SR)
    document.file_meta.MediaStorageSOPClassUID = sop_class
    assert "MediaStorageSOPClassUID is not SOPClassUID" in refusal(document, modules)


@pytest.mark.parametrize(
    ("sop_class", "good", "bad", "fault"),
    [
        (uid.SecondaryCaptureImageStorage, {}, {"PixelData": b""}, "PixelData is empty"),
        (uid.MultiFrameTrueColorSecondaryCaptureImageStorage, {}, {"PixelData": b""}, "PixelData is empty"),
        (uid.MRImageStorage, {"Modality": "MR"}, {"ImageType": ["ORIGINAL", "PRIMARY"]}, "ImageType is not DERIVED"),
        (
            uid.RTStructureSetStorage,
            {"Modality": "RTSTRUCT", "ApprovalStatus": "UNAPPROVED"},
            {"ApprovalStatus": "APPROVED"},
            "ApprovalStatus is not UNAPPROVED",
        ),
    ],
)
def test_each_class_of_a_plugin_has_its_rule(
    done: Written, modules: Dataset, sop_class: uid.UID, good: dict[str, Any], bad: dict[str, Any], fault: str
) -> None:
    dataset = of_class(done.read(ObjectKind.SC), sop_class)
    for keyword, value in good.items():
        setattr(dataset, keyword, value)
    check_object(dataset, modules)
    for keyword, value in bad.items():
        setattr(dataset, keyword, value)
    assert fault in refusal(dataset, modules)


@pytest.mark.parametrize("sop_class", [*OTHERS, *UNKNOWN], ids=lambda each: str(each).strip() or "absent")
def test_only_a_report_can_be_an_attestation(done: Written, modules: Dataset, sop_class: uid.UID) -> None:
    document = of_class(verified(done.read(ObjectKind.SR)), sop_class)
    with pytest.raises(ConformanceError, match="SOPClassUID is not that of a report"):
        check_attestation(document, modules)


@pytest.mark.parametrize("name", [None, "", "^"])
def test_an_attestation_names_a_person(done: Written, modules: Dataset, name: str | None) -> None:
    document = verified(done.read(ObjectKind.SR))
    observer = Dataset()
    observer.VerifyingObserverName = name
    document.VerifyingObserverSequence = [observer]
    with pytest.raises(ConformanceError, match="verifying observer is missing"):
        check_attestation(document, modules)


def test_a_pdf_is_no_report_whatever_its_modality_says(done: Written, ct: list[Path], tmp_path: Path) -> None:
    grid = plan(gather([read_instance(path) for path in ct]), Accepts())[0]
    stored = store_plugin_objects(
        [pdf(done, Modality="SR")], grid=grid, job_key="ab" * 32, folder=tmp_path, options=WriteOptions()
    )
    assert [record.kind for record in stored] == [ObjectKind.OTHER]
