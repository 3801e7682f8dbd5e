"""Compares the patients that two headers name."""

from __future__ import annotations

from orchestrator.dicom.headers.attributes import text
from orchestrator.domain.series import Headers


def patient_difference(one: Headers, other: Headers) -> str:
    """Return the keyword in which two headers name different patients, empty where they may name the same.

    Patient ID and its issuer decide; where an ID is missing, birth date and name do. An empty value says nothing.
    """
    by_id = all(text(headers, "PatientID") for headers in (one, other))
    for keyword in ("PatientID", "IssuerOfPatientID") if by_id else ("PatientBirthDate", "PatientName"):
        here, there = (comparable(text(headers, keyword)) for headers in (one, other))
        if here and there and here != there:
            return keyword
    return ""


def comparable(value: str) -> str:
    """Return an identifier or a name without differences of writing that mean nothing."""
    return value.strip().rstrip("^= ").casefold()  # trailing delimiters of a PN have no meaning, PS3.5 6.2.1
