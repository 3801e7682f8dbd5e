"""Keywords whose values say who the patient is, or who cared for them; explanations leave them out."""

from __future__ import annotations

from pydicom.datadict import dictionary_VR, tag_for_keyword

# PS3.15 table E.1-1, of which the attributes that name a person, a visit or an order
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


def identifies(keyword: str) -> bool:
    """Return whether a value of the keyword may tell a person; every person name (VR PN) does."""
    if keyword in _IDENTIFYING.split():
        return True
    tag = tag_for_keyword(keyword)
    return tag is not None and dictionary_VR(tag) == "PN"
