"""Writes the attestation of an accepted result: a verified SR that succeeds the AI's SR.

An attestation needs an authenticated person and content of an approved product, never research content.
The AI's own SR stays unchanged.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path

from highdicom import sr
from pydicom import Dataset, dcmread
from pydicom.sr.codedict import codes

from orchestrator.dicom.objects import provenance
from orchestrator.dicom.objects.identity import patient_and_study
from orchestrator.dicom.objects.provenance import Clock, DerivedUids
from orchestrator.dicom.objects.references import predecessor_item, reference_to
from orchestrator.dicom.objects.rules import check_attestation
from orchestrator.dicom.sr.text_report import UNVERIFIED_STATEMENT
from orchestrator.domain.errors import ForbiddenTransition
from orchestrator.domain.records import ReviewRecord
from orchestrator.domain.review import ReviewState

_TITLE = "AI result, accepted by a physician"


def attest(report: Path, verdict: ReviewRecord) -> Dataset:
    """Return a new, verified SR with the content of the AI's SR, its predecessor (PS3.3 C.17.2.2).

    The title says that this is an accepted AI result, not the radiologist's report.
    Raises ForbiddenTransition where the verdict is not "accepted", where person or organization is missing, or where
    the content is not that of an approved product; ConformanceError.
    """
    original = dcmread(report)
    _check_attestable(original, verdict)
    clock = verdict_clock(verdict, original)
    attestation = copy.deepcopy(original)
    attestation.VerificationFlag, attestation.PreliminaryFlag = "VERIFIED", "FINAL"
    attestation.VerifyingObserverSequence = [_observer(verdict, clock)]
    attestation.PredecessorDocumentsSequence = [predecessor_item(original)]
    attestation.SeriesDescription = f"{_TITLE}: {original.get('ManufacturerModelName', '')}"[:64].strip()
    attestation.ContributingEquipmentSequence[0].ContributionDescription = "AI inference, accepted by a physician"
    for item in attestation.ContentSequence:
        if item.ValueType == "TEXT" and item.TextValue == UNVERIFIED_STATEMENT:
            item.TextValue = f"{_TITLE}."
    provenance.stamp(attestation, clock, verdict_uids(verdict, [reference_to(original)]), "attestation")
    check_attestation(attestation, patient_and_study(original))
    return attestation


def _check_attestable(original: Dataset, verdict: ReviewRecord) -> None:
    if verdict.state is not ReviewState.ACCEPTED:
        raise ForbiddenTransition(f"the verdict is {verdict.state}; only an accepted result can be attested")
    if not verdict.by.strip() or not verdict.organization.strip():
        raise ForbiddenTransition("an attestation needs a person and an organization; one of them is missing")
    qualification = original.get("ContentQualification")
    if qualification != "PRODUCT":
        content = f"the content of SR {original.SOPInstanceUID} is {qualification or 'not qualified'}"
        raise ForbiddenTransition(f"{content}; only PRODUCT content can be attested")


def _observer(verdict: ReviewRecord, clock: Clock) -> Dataset:
    observer = Dataset()
    observer.VerifyingObserverName = person_name(verdict.by)
    observer.VerifyingOrganization = provenance.clean_text(verdict.organization)
    observer.VerificationDateTime = clock.date_time
    observer.VerifyingObserverIdentificationCodeSequence = []
    return observer


def person(verdict: ReviewRecord) -> sr.ObserverContext:
    """Return the person who gave the verdict as an observer context (TID 1003)."""
    return sr.ObserverContext(
        observer_type=codes.DCM.Person,
        observer_identifying_attributes=sr.PersonObserverIdentifyingAttributes(
            name=person_name(verdict.by), organization_name=verdict.organization or None
        ),
    )


def person_name(text: str) -> str:
    """Return a name as PN (PS3.5 6.2.1): unchanged where it has components, else "given family" as family^given."""
    clean = provenance.clean_text(text).replace("=", " ")
    if "^" in clean or " " not in clean:
        return clean if "^" in clean else f"{clean}^"
    given_name, family_name = clean.rsplit(" ", 1)
    return f"{family_name}^{given_name}"


def verdict_clock(verdict: ReviewRecord, header: Dataset) -> Clock:
    """Return the time of a verdict in the time zone of the object it is about."""
    return Clock.of(verdict.at, str(header.get("TimezoneOffsetFromUTC") or ""))


def verdict_uids(verdict: ReviewRecord, subjects: Iterable[Dataset], *details: str) -> DerivedUids:
    """Return UIDs derived from the verdict and from the objects it is about: the same verdict gives the same UIDs."""
    content = [dataset.to_json() for dataset in subjects]
    facts = (verdict.state, verdict.by, verdict.organization, verdict.reason, verdict.comment, verdict.at.isoformat())
    return DerivedUids(verdict.job_key, "\n".join((*content, *facts, *details)))
