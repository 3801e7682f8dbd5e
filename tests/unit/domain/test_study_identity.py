"""Before anything is sent, patient and study of the result and of the archive are compared."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.domain.series import StudyIdentity

OURS = StudyIdentity(
    patient_id="P1",
    issuer_of_patient_id="HOSPITAL",
    patient_name="Yamada^Tarou=山田^太郎=やまだ^たろう",
    birth_date="19700101",
    sex="M",
    accession_number="A1",
    study_uid="1.2.3",
)


def test_the_same_identity_has_no_differences() -> None:
    assert OURS.differences(OURS) == ()


@pytest.mark.parametrize(
    ("change", "keyword"),
    [
        ({"patient_id": "P2"}, "PatientID"),
        ({"patient_id": ""}, "PatientID"),
        ({"patient_name": "Tanaka^Tarou"}, "PatientName"),
        ({"accession_number": "A2"}, "AccessionNumber"),
        ({"accession_number": ""}, "AccessionNumber"),
        ({"birth_date": "19710101"}, "PatientBirthDate"),
        ({"sex": "F"}, "PatientSex"),
        ({"issuer_of_patient_id": "OTHER"}, "IssuerOfPatientID"),
        ({"study_uid": "1.2.4"}, "StudyInstanceUID"),
    ],
)
def test_each_attribute_that_differs_is_named(change: dict[str, str], keyword: str) -> None:
    assert OURS.differences(replace(OURS, **change)) == (keyword,)


@pytest.mark.parametrize("left_out", ["birth_date", "sex", "issuer_of_patient_id"])
def test_an_optional_key_that_the_archive_leaves_out_is_no_difference(left_out: str) -> None:
    assert OURS.differences(replace(OURS, **{left_out: ""})) == ()


def test_trailing_delimiters_and_blanks_of_a_name_mean_nothing() -> None:
    plain = replace(OURS, patient_name="DOE^JANE")
    assert plain.differences(replace(plain, patient_name="DOE^JANE^^^ ")) == ()


def test_a_name_in_other_letters_is_another_name() -> None:
    assert OURS.differences(replace(OURS, patient_name="Yamada^Tarou=?^?")) == ("PatientName",)
