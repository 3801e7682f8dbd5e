"""A radiologist's verdict as DICOM: a verified SR that follows the AI's.

Nothing sends these before people can log in: a verdict becomes an attestation only for an authenticated
person, and never on research content. No stored instance is ever edited.
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
from orchestrator.dicom.objects.provenance import Clock, Uids
from orchestrator.dicom.objects.references import predecessor_item, reference_to
from orchestrator.dicom.objects.rules import check_attestation
from orchestrator.dicom.sr.without_place import UNVERIFIED_STATEMENT
from orchestrator.domain.errors import ForbiddenTransition
from orchestrator.domain.records import ReviewRecord
from orchestrator.domain.review import ReviewState

_TITLE = "AI result, accepted by a physician"


def attest(report: Path, verdict: ReviewRecord) -> Dataset:
    """Return a new, verified SR with the contents of the AI's, which it names as its predecessor (PS3.3 C.17.2.2).

    Its title says that it is an accepted AI result, so that nobody takes it for the radiologist's report.
    Raises ForbiddenTransition for a verdict that accepts nothing, names no person and organization, or is
    on research content; ConformanceError.
    """
    written = dcmread(report)
    _check_attestable(written, verdict)
    clock = verdict_clock(verdict, written)
    attested = copy.deepcopy(written)
    attested.VerificationFlag, attested.PreliminaryFlag = "VERIFIED", "FINAL"
    attested.VerifyingObserverSequence = [_observer(verdict, clock)]
    attested.PredecessorDocumentsSequence = [predecessor_item(written)]
    attested.SeriesDescription = f"{_TITLE}: {written.get('ManufacturerModelName', '')}"[:64].strip()
    attested.ContributingEquipmentSequence[0].ContributionDescription = "AI inference, accepted by a physician"
    for item in attested.ContentSequence:
        if item.ValueType == "TEXT" and item.TextValue == UNVERIFIED_STATEMENT:
            item.TextValue = f"{_TITLE}."
    provenance.stamp(attested, clock, verdict_uids(verdict, [reference_to(written)]), "attestation")
    check_attestation(attested, patient_and_study(written))
    return attested


def _check_attestable(written: Dataset, verdict: ReviewRecord) -> None:
    if verdict.state is not ReviewState.ACCEPTED:
        raise ForbiddenTransition(f"a verdict {verdict.state} attests nothing; only accepted does")
    if not verdict.by.strip() or not verdict.organization.strip():
        raise ForbiddenTransition("an attestation names the person and the organization; one of them is missing")
    qualification = written.get("ContentQualification")
    if qualification != "PRODUCT":
        found = f"SR {written.SOPInstanceUID} is {qualification}"
        raise ForbiddenTransition(f"{found}; only that of an approved product can be attested")


def _observer(verdict: ReviewRecord, clock: Clock) -> Dataset:
    observer = Dataset()
    observer.VerifyingObserverName = person_name(verdict.by)
    observer.VerifyingOrganization = provenance.text_of(verdict.organization)
    observer.VerificationDateTime = clock.date_time
    observer.VerifyingObserverIdentificationCodeSequence = []
    return observer


def person(verdict: ReviewRecord) -> sr.ObserverContext:
    """Return who gave the verdict, as an observer (TID 1003)."""
    return sr.ObserverContext(
        observer_type=codes.DCM.Person,
        observer_identifying_attributes=sr.PersonObserverIdentifyingAttributes(
            name=person_name(verdict.by), organization_name=verdict.organization or None
        ),
    )


def person_name(text: str) -> str:
    """Return a name as PN: as it is where it has components, else "given family" turned round (PS3.5 6.2.1)."""
    clean = provenance.text_of(text).replace("=", " ")
    if "^" in clean or " " not in clean:
        return clean if "^" in clean else f"{clean}^"
    given, family = clean.rsplit(" ", 1)
    return f"{family}^{given}"


def verdict_clock(verdict: ReviewRecord, header: Dataset) -> Clock:
    """Return the time of a verdict as objects on this source state it."""
    return Clock.of(verdict.at, str(header.get("TimezoneOffsetFromUTC") or ""))


def verdict_uids(verdict: ReviewRecord, about: Iterable[Dataset], *more: str) -> Uids:
    """Return UIDs that follow from the verdict and from what the object made of it is about."""
    told = [dataset.to_json() for dataset in about]
    said = (verdict.state, verdict.by, verdict.organization, verdict.reason, verdict.comment, verdict.at.isoformat())
    return Uids(verdict.job_key, "\n".join((*told, *said, *more)))
