"""A value that breaks its VR is absent for the writer; nothing else of a header changes."""

import pytest
from pydicom import Dataset

from orchestrator.dicom.headers.clean_header import remove_invalid


def header(keyword: str, vr: str, value: object) -> Dataset:
    dataset = Dataset()
    dataset.PatientID = "PHANTOM-1"
    dataset.add_new(keyword, vr, value)
    return dataset


@pytest.mark.parametrize(
    ("keyword", "vr", "value"),
    [
        ("SliceThickness", "LO", "thick"),
        ("SliceThickness", "DS", None),
        ("SliceThickness", "DS", ["1", "2"]),
        ("FrameOfReferenceUID", "UI", ["1.2", "1.3"]),
        ("FrameOfReferenceUID", "US", 7),
        ("ProcedureCodeSequence", "LO", "CT"),
        ("ContentQualification", "FD", 1.5),
        ("PixelSpacing", "LO", "wide"),
        ("AccessionNumber", "SH", ""),
    ],
)
def test_what_breaks_its_vr_is_absent(keyword: str, vr: str, value: object) -> None:
    assert [element.keyword for element in remove_invalid(header(keyword, vr, value))] == ["PatientID"]


def test_a_number_written_as_text_is_a_number() -> None:
    assert remove_invalid(header("SliceThickness", "LO", "2.5")).SliceThickness == 2.5


@pytest.mark.parametrize(
    ("keyword", "vr", "value"),
    [
        ("SliceThickness", "DS", "2.5"),
        ("PixelSpacing", "DS", ["0.5", "0.5"]),
        ("AccessionNumber", "SH", ["A", "B"]),
        ("PatientName", "PN", "Yamada^Tarou=山田^太郎"),
        ("ImageType", "CS", ["ORIGINAL", "PRIMARY"]),
        ("ProcedureCodeSequence", "SQ", []),
    ],
)
def test_what_is_right_stays(keyword: str, vr: str, value: object) -> None:
    before = header(keyword, vr, value)
    assert remove_invalid(header(keyword, vr, value)) == before
