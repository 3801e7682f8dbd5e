"""Patient and study as the host writes them: copied from the source, complete, and in one character set."""

from __future__ import annotations

import contextlib
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.multival import MultiValue

from orchestrator.domain.series import StudyIdentity

CHARACTER_SET = "ISO_IR 192"
"""UTF-8: every name that any source can hold."""

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
"""What an archive may leave out of its answer (PS3.4 C.6.2.1)."""


def identity_of(path: Path) -> StudyIdentity:
    """Return the identity that an object in a file was written for."""
    return study_identity(dcmread(path, stop_before_pixels=True))


def study_identity(header: Dataset) -> StudyIdentity:
    """Return the identity that a header carries; absent is empty text."""
    return StudyIdentity(**{field: _text(header, keyword) for keyword, field in _OF_IDENTITY.items()})


def patient_and_study(header: Dataset, identity: StudyIdentity | None = None) -> Dataset:
    """Return the patient and study modules (PS3.3 C.7.1, C.7.2) of a header, in UTF-8.

    Type 2 attributes that the source lacks are there and empty. ``identity``, the study as an archive
    holds it now, takes precedence over what the source says.
    """
    modules = Dataset()
    modules.SpecificCharacterSet = CHARACTER_SET
    for keyword in _TYPE_2:
        setattr(modules, keyword, _value(header, keyword))
    for keyword in (*_OF_THE_PATIENT, *_OF_THE_STUDY):
        if header.get(keyword) not in (None, "", []):
            with contextlib.suppress(ValueError):  # an optional number that is none is left out
                setattr(modules, keyword, _value(header, keyword))
    if identity is not None:
        _override(modules, identity)
    return modules


def put_identity(written: Dataset, identity: StudyIdentity) -> Dataset:
    """Return the patient and study modules that an object carries from now on."""
    modules = patient_and_study(written, identity)
    for keyword in _OF_THE_PATIENT:
        if keyword in written and keyword not in modules:
            del written[keyword]
    written.update(modules)
    return modules


def _override(modules: Dataset, identity: StudyIdentity) -> None:
    """Set what the archive says. What it leaves out stays for the same patient, and goes for another one."""
    same_patient = str(modules.PatientID) == identity.patient_id
    if not same_patient:
        for keyword in (*_OF_THE_PATIENT, *_OPTIONAL_IN_QUERIES):
            if keyword in modules:
                del modules[keyword]
    for keyword, field in _OF_IDENTITY.items():
        value = getattr(identity, field)
        left_out = not value and keyword in _OPTIONAL_IN_QUERIES
        if not left_out or (keyword in _TYPE_2 and keyword not in modules):
            setattr(modules, keyword, value)


def _value(header: Dataset, keyword: str) -> object:
    """Return a value fit to be set anew, in whatever character set it is written then."""
    if dictionary_VR(tag_for_keyword(keyword) or 0) == "SQ":
        return [_anew(item) for item in header[keyword].value]
    return _plain(header.get(keyword))


def _anew(item: Dataset) -> Dataset:
    """Return an item of a sequence without memory of the character set it was read in."""
    copied = Dataset()
    for element in item:
        if element.keyword != "SpecificCharacterSet":
            value = [_anew(each) for each in element.value] if element.VR == "SQ" else element.value
            copied.add_new(element.tag, element.VR, _plain(value) if element.VR == "PN" else value)
    return copied


def _plain(value: object) -> object:
    """Return text for a name, a date or a number as it was written; names remember their encoding otherwise."""
    return list(map(str, value)) if isinstance(value, MultiValue) else "" if value is None else str(value)


def _text(header: Dataset, keyword: str) -> str:
    value = header.get(keyword)
    return "" if value is None else str(value)
