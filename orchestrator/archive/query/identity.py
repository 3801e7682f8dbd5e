"""The one patient and study that an archive holds under a Study Instance UID."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import BytesIO

from pydicom.dataset import Dataset
from pydicom.filereader import read_partial

from orchestrator.archive.query.matching import first
from orchestrator.domain.errors import ArchiveRefused, UnreadableFile
from orchestrator.domain.quiet import quiet
from orchestrator.domain.series import Headers, StudyIdentity

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
_LAST = 0x0020000D  # Study Instance UID; every other one comes before it
_START_BYTES = 256 << 10  # far more than what stands before it


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


def identity_of(headers: Headers) -> StudyIdentity:
    """Return what the headers of an answer say of patient and study."""
    return StudyIdentity(
        patient_id=first(headers, "PatientID"),
        issuer_of_patient_id=first(headers, "IssuerOfPatientID"),
        patient_name=first(headers, "PatientName"),
        birth_date=first(headers, "PatientBirthDate"),
        sex=first(headers, "PatientSex"),
        accession_number=first(headers, "AccessionNumber"),
        study_uid=first(headers, "StudyInstanceUID"),
    )


def identity_in(pieces: Iterable[bytes]) -> StudyIdentity:
    """Return what a DICOM file says of patient and study; no more of it is taken than that needs.

    Raises UnreadableFile.
    """
    start = b""
    for piece in pieces:
        start += piece
        if len(start) > _START_BYTES:
            break
    try:
        with quiet():
            return study_identity(read_partial(BytesIO(start), stop_when=lambda tag, _vr, _length: tag > _LAST))
    except Exception as fault:  # noqa: BLE001  # pydicom raises anything at all on broken bytes
        raise UnreadableFile(f"its patient and study cannot be read ({type(fault).__name__})") from None


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
