"""Copies the patient and study modules from a source into written objects, always in UTF-8."""

from __future__ import annotations

import contextlib
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.multival import MultiValue

from orchestrator.domain.series import StudyIdentity

CHARACTER_SET = "ISO_IR 192"
"""UTF-8: it can represent every name."""

_TYPE_2 = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
)
_OF_THE_PATIENT = (
    *("IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence", "TypeOfPatientID", "OtherPatientIDsSequence"),
    *("EthnicGroup", "PatientBirthTime", "PatientAge", "PatientSize", "PatientWeight", "PatientSpeciesDescription"),
    *("PatientSpeciesCodeSequence", "PatientBreedDescription", "PatientBreedCodeSequence"),
    *("BreedRegistrationSequence", "ResponsiblePerson", "ResponsiblePersonRole", "ResponsibleOrganization"),
    *("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence"),
)
_OF_THE_STUDY = (
    *("StudyInstanceUID", "StudyDescription", "ProcedureCodeSequence", "IssuerOfAccessionNumberSequence"),
    *("ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName", "ClinicalTrialSiteID"),
    *("ClinicalTrialSiteName", "ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID"),
    *("ClinicalTrialTimePointID", "ClinicalTrialTimePointDescription", "TimezoneOffsetFromUTC"),
)
_OF_IDENTITY = {
    "PatientID": "patient_id",
    "IssuerOfPatientID": "issuer_of_patient_id",
    "PatientName": "patient_name",
    "PatientBirthDate": "birth_date",
    "PatientSex": "sex",
    "AccessionNumber": "accession_number",
    "StudyInstanceUID": "study_uid",
}
_OPTIONAL_IN_QUERIES = {"IssuerOfPatientID", "PatientBirthDate", "PatientSex"}
"""Optional query keys, which an archive may omit in its response (PS3.4 C.6.2.1)."""


def identity_of(path: Path) -> StudyIdentity:
    """Return patient and study of the object in a file."""
    return study_identity(dcmread(path, stop_before_pixels=True))


def study_identity(header: Dataset) -> StudyIdentity:
    """Return patient and study of a header; an absent attribute is empty text."""
    values = {field: header.get(keyword) for keyword, field in _OF_IDENTITY.items()}
    return StudyIdentity(**{field: "" if value is None else str(value) for field, value in values.items()})


def patient_and_study(header: Dataset, identity: StudyIdentity | None = None) -> Dataset:
    """Return the patient and study modules (PS3.3 C.7.1, C.7.2) of a header, in UTF-8.

    Type 2 attributes that the source lacks are present and empty.
    identity: patient and study as an archive has them now; it overrides the source.
    """
    modules = Dataset()
    modules.SpecificCharacterSet = CHARACTER_SET
    for keyword in _TYPE_2:
        setattr(modules, keyword, _value(header, keyword))
    for keyword in (*_OF_THE_PATIENT, *_OF_THE_STUDY):
        if header.get(keyword) not in (None, "", []):
            with contextlib.suppress(ValueError):  # omit an optional number that is invalid
                setattr(modules, keyword, _value(header, keyword))
    if identity is not None:
        _override(modules, identity)
    return modules


def set_identity(dataset: Dataset, identity: StudyIdentity) -> Dataset:
    """Replace patient and study of an object; return the new modules."""
    modules = patient_and_study(dataset, identity)
    for keyword in _OF_THE_PATIENT:
        if keyword in dataset and keyword not in modules:
            del dataset[keyword]
    dataset.update(modules)
    return modules


def _override(modules: Dataset, identity: StudyIdentity) -> None:
    """Apply the identity. Attributes that it omits stay for the same patient, and are removed for another one."""
    same_patient = str(modules.PatientID) == identity.patient_id
    if not same_patient:
        for keyword in (*_OF_THE_PATIENT, *_OPTIONAL_IN_QUERIES):
            if keyword in modules:
                del modules[keyword]
    for keyword, field in _OF_IDENTITY.items():
        value = getattr(identity, field)
        is_omitted = not value and keyword in _OPTIONAL_IN_QUERIES
        if not is_omitted or (keyword in _TYPE_2 and keyword not in modules):
            setattr(modules, keyword, value)


def _value(header: Dataset, keyword: str) -> object:
    """Return a copy of a value that does not depend on the character set of its source."""
    if dictionary_VR(tag_for_keyword(keyword) or 0) == "SQ":
        return [_copy_item(item) for item in header[keyword].value]
    return _plain(header.get(keyword))


def _copy_item(item: Dataset) -> Dataset:
    """Return a copy of a sequence item without its original character set."""
    copy = Dataset()
    for element in item:
        if element.keyword != "SpecificCharacterSet":
            value = [_copy_item(each) for each in element.value] if element.VR == "SQ" else element.value
            copy.add_new(element.tag, element.VR, _plain(value) if element.VR == "PN" else value)
    return copy


def _plain(value: object) -> object:
    """Return a name, date or number as plain text; pydicom's names would keep their original encoding."""
    return list(map(str, value)) if isinstance(value, MultiValue) else "" if value is None else str(value)
