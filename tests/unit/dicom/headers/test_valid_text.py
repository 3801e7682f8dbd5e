"""Text that breaks the rules of its VR is repaired where it has one meaning only, else it is left away."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.dicom.headers.valid_text import valid_text

RULES = {
    "DA": r"\d{8}",
    "TM": r"([01]\d|2[0-3])([0-5]\d([0-5]\d|60)?(\.\d{1,6})?)?",
    "AS": r"\d{3}[DWMY]",
    "CS": r"[A-Z0-9_ ]{1,16}",
    "SH": r".{0,16}",
    "LO": r".{0,64}",
}


@pytest.mark.parametrize(
    ("keyword", "vr", "written", "text"),
    [
        ("StudyDate", "DA", "20260102", "20260102"),
        ("StudyDate", "DA", "2026-01-02", "20260102"),
        ("PatientBirthDate", "DA", "1970.01.01", "19700101"),
        ("PatientBirthDate", "DA", "01/02/1970", ""),  # which of them is the month?
        ("PatientBirthDate", "DA", "19700231", ""),
        ("StudyTime", "TM", "10:00:00.25", "100000.25"),
        ("StudyTime", "TM", "1000", "1000"),
        ("StudyTime", "TM", "25:00", ""),
        ("PatientAge", "AS", "056Y", "056Y"),
        ("PatientAge", "AS", "56", ""),  # years, or months?
        ("PatientSex", "CS", "female", "F"),
        ("PatientSex", "CS", "unknown", ""),
        ("BodyPartExamined", "CS", "chest", "CHEST"),
        ("BodyPartExamined", "CS", "Pelvis+Abdomen", ""),
        ("PatientName", "PN", "Doe\x00^Jane\x1b", "Doe^Jane"),
        ("StudyDescription", "LO", "x" * 90, "x" * 64),
        ("AccessionNumber", "SH", "ACC-2026-000000000012345", "ACC-2026-000000000012345"),
        ("PatientID", "LO", "9" * 80, "9" * 80),
        ("ImageComments", "LT", "one\r\ntwo\x00", "one\r\ntwo"),
    ],
)
def test_it_is_repaired_or_left_away(keyword: str, vr: str, written: str, text: str) -> None:
    assert valid_text(keyword, vr, written) == text


@given(st.sampled_from(sorted(RULES)), st.text(max_size=100))
def test_what_remains_keeps_the_rules_and_is_not_changed_again(vr: str, text: str) -> None:
    repaired = valid_text("StudyDescription", vr, text)
    assert repaired == "" or re.fullmatch(RULES[vr], repaired, re.DOTALL)
    assert valid_text("StudyDescription", vr, repaired) == repaired
