"""Reads patient and study from an archive's data, and checks that a study has only one patient."""

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
_LAST = 0x0020000D  # Study Instance UID, the last of these attributes in a data set
_START_BYTES = 256 << 10  # far more than all elements before it


def study_identity(dataset: Dataset) -> StudyIdentity:
    """Return patient and study of a data set, decoded by its own character set."""
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
    """Return patient and study of the headers of an answer."""
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
    """Return patient and study of a DICOM file; only the start of the file is read.

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
        raise UnreadableFile(f"patient and study cannot be read ({type(fault).__name__})") from None


def one_patient(identities: Sequence[StudyIdentity], archive: str, study_uid: str) -> StudyIdentity | None:
    """Return the last of the identities, None where there are none.

    Raises ArchiveRefused where they belong to several patients.
    """
    patients = {(identity.patient_id, identity.issuer_of_patient_id) for identity in identities}
    if len(patients) > 1:
        raise ArchiveRefused(
            f"archive {archive!r} holds study {study_uid} under {len(patients)} patients: "
            "correct the study in the archive before results are added to it"
        )
    return identities[-1] if identities else None


def _text(dataset: Dataset, keyword: str) -> str:
    """Return the value in DICOM's notation, without padding; empty where it is absent."""
    value = dataset.get(keyword)
    return "" if value is None else str(value).strip(" \0")
