"""The one patient and study that an archive holds under a Study Instance UID."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset

from orchestrator.domain.errors import ArchiveRefused
from orchestrator.domain.series import StudyIdentity

ATTRIBUTES = (
    "SpecificCharacterSet",
    "PatientID",
    "IssuerOfPatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyInstanceUID",
)


def study_identity(dataset: Dataset) -> StudyIdentity:
    """Return what the data set says of patient and study, its text decoded by its own character set."""
    return StudyIdentity(
        patient_id=_text(dataset, "PatientID"),
        issuer_of_patient_id=_text(dataset, "IssuerOfPatientID"),
        patient_name=_text(dataset, "PatientName"),
        birth_date=_text(dataset, "PatientBirthDate"),
        sex=_text(dataset, "PatientSex"),
        accession_number=_text(dataset, "AccessionNumber"),
        study_uid=_text(dataset, "StudyInstanceUID"),
    )


def one_patient(identities: Sequence[StudyIdentity], archive: str, study_uid: str) -> StudyIdentity | None:
    """Return the last of the identities, None where there is none.

    Raises ArchiveRefused where they are of several patients.
    """
    patients = {(identity.patient_id, identity.issuer_of_patient_id) for identity in identities}
    if len(patients) > 1:
        raise ArchiveRefused(
            f"archive {archive!r} holds study {study_uid} under {len(patients)} patients: "
            "somebody has to put that right there before anything is added to it"
        )
    return identities[-1] if identities else None


def _text(dataset: Dataset, keyword: str) -> str:
    """Return the value as DICOM writes it, without padding; empty where it is absent."""
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip(" \0")
