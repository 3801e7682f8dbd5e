"""Keywords whose values identify a patient or the staff; explanations hide these values."""

from __future__ import annotations

from pydicom.datadict import dictionary_VR, tag_for_keyword

# the attributes of PS3.15 table E.1-1 that identify a person, a visit or an order
_IDENTIFYING = """
    AccessionNumber AdditionalPatientHistory AdmissionID AffectedSOPInstanceUID CountryOfResidence
    FillerOrderNumberImagingServiceRequest ImageComments InsurancePlanIdentification
    IssuerOfAccessionNumberSequence IssuerOfAdmissionID IssuerOfPatientID IssuerOfServiceEpisodeID
    MedicalAlerts MedicalRecordLocator MilitaryRank Occupation OtherPatientIDs PatientAddress PatientBirthDate
    PatientBirthDateInAlternativeCalendar PatientBirthTime PatientComments PatientID PatientInsurancePlanCodeSequence
    PatientMotherBirthName PatientPrimaryLanguageCodeSequence PatientReligiousPreference PatientState
    PatientTelecomInformation PatientTelephoneNumbers PerformedProcedureStepID PlacerOrderNumberImagingServiceRequest
    ReasonForStudy ReasonForTheRequestedProcedure RegionOfResidence RequestAttributesSequence
    RequestedProcedureComments RequestedProcedureID RequestedProcedureLocation ScheduledProcedureStepID
    ServiceEpisodeID SpecialNeeds StudyComments StudyID VisitComments
"""


def is_identifying(keyword: str) -> bool:
    """Return whether a value of the keyword may identify a person; every person name (VR PN) does."""
    if keyword in _IDENTIFYING.split():
        return True
    tag = tag_for_keyword(keyword)
    return tag is not None and dictionary_VR(tag) == "PN"
