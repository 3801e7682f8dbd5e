"""The attributes of a frame never replace what identifies the object: scanners nest whole headers in their frames."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import EnhancedMRImageStorage, ImplicitVRLittleEndian, MRImageStorage

from orchestrator.dicom.headers.attributes import frame_attributes
from orchestrator.dicom.headers.header import read_header, read_instance
from orchestrator.dicom.objects.class_rules import evidence_uids
from orchestrator.dicom.objects.identity import patient_and_study
from orchestrator.dicom.result.source_grid import flatten_header
from orchestrator.domain.records import ObjectKind
from tests.data.series import enhanced_mr
from tests.parts.dicom.written import everything, write_result

NESTED = {
    "SOPClassUID": MRImageStorage,
    "SOPInstanceUID": "1.2.3.1",
    "StudyInstanceUID": "1.2.3.2",
    "SeriesInstanceUID": "1.2.3.3",
    "FrameOfReferenceUID": "1.2.3.4",
    "PatientID": "NESTED",
    "PatientName": "Nested^Name",
    "PatientBirthDate": "19000101",
    "AccessionNumber": "NESTED",
    "StudyID": "NESTED",
    "StudyDate": "19000101",
    "Modality": "OT",
    "SpecificCharacterSet": "ISO_IR 100",
    "InstanceNumber": 99,
    "SeriesNumber": 99,
    "Rows": 1,
    "Columns": 1,
    "BitsAllocated": 8,
}
STANDARD = ["UnassignedPerFrameConvertedAttributesSequence", "ReferencedImageSequence", "DerivationImageSequence"]
PRIVATE = 0x2005140F  # Philips: the header of a classic image in each frame
PLACES = [*STANDARD, "private", "direct", "shared", "shared private"]


def nest(dataset: Dataset, place: str) -> None:
    """Put the header of another object into the functional groups."""
    shared = dataset.SharedFunctionalGroupsSequence
    for number, groups in enumerate(shared if "shared" in place else dataset.PerFrameFunctionalGroupsSequence, 1):
        header = Dataset()
        for keyword, value in NESTED.items():
            setattr(header, keyword, value)
        header.SOPInstanceUID = f"1.2.3.1.{number}"
        if place == "direct":
            groups.update(header)
        elif "private" in place:
            groups.add_new(0x20050014, "LO", "Philips MR Imaging DD 005")
            groups.add_new(PRIVATE, "SQ", [header])
        else:
            setattr(groups, STANDARD[0] if place == "shared" else place, [header])


def source(folder: Path, place: str, **values: object) -> Path:
    return enhanced_mr(folder, slices=4, rows=24, columns=32, edit=lambda dataset: nest(dataset, place), **values)


@pytest.mark.parametrize("place", PLACES)
def test_a_frame_keeps_the_identity_of_its_object(tmp_path: Path, place: str) -> None:
    path = source(tmp_path, place)
    header = read_header(path)
    own = {keyword: header[keyword].value for keyword in NESTED}
    for frame in range(1, 5):
        flat = flatten_header(header, frame)
        assert {keyword: flat[keyword].value for keyword in NESTED} == own
        position = header.PerFrameFunctionalGroupsSequence[frame - 1].PlanePositionSequence[0].ImagePositionPatient
        assert flat.ImagePositionPatient == position
    for headers in frame_attributes(read_header(path)):
        assert not {"NESTED", "Nested^Name", "19000101", "1.2.3.2"} & {v for values in headers.values() for v in values}
        assert headers["SOPInstanceUID"] == (header.SOPInstanceUID,)
        assert headers["Rows"] == (24,)


@pytest.mark.parametrize("place", PLACES)
def test_an_absent_identity_stays_absent(tmp_path: Path, place: str) -> None:
    path = source(tmp_path, place)
    dataset = dcmread(path)
    for keyword in ("PatientID", "AccessionNumber", "FrameOfReferenceUID"):
        del dataset[keyword]
    dataset.save_as(path)
    instance = read_instance(path)
    flat = flatten_header(read_header(path), 1)
    for keyword in ("PatientID", "AccessionNumber", "FrameOfReferenceUID"):
        assert keyword not in instance.headers
        assert keyword not in flat


@pytest.mark.parametrize("syntax", ["explicit", "implicit"])
@pytest.mark.parametrize("place", PLACES)
def test_the_objects_refer_to_the_file_and_not_to_a_nested_header(tmp_path: Path, place: str, syntax: str) -> None:
    path = source(tmp_path, place, **({"transfer_syntax": ImplicitVRLittleEndian} if syntax == "implicit" else {}))
    done = write_result([path], everything, tmp_path / "written")
    original = dcmread(path)
    report = done.read(ObjectKind.SR)
    assert original.SOPInstanceUID in set(evidence_uids(report))
    for written in map(dcmread, done.paths):
        text = written.to_json()
        assert "1.2.3." not in text.replace(str(original.SOPInstanceUID), "")
        assert "NESTED" not in text.upper()
        modules = patient_and_study(original)
        assert (written.PatientID, written.StudyInstanceUID) == (modules.PatientID, modules.StudyInstanceUID)
    assert original.SOPClassUID == EnhancedMRImageStorage
