"""A radiologist's verdict as DICOM: a verified SR that follows the AI's, or a rejection note (IHE IOCM).

Nothing sends these before people can log in: a verdict becomes an attestation only for an authenticated
person, and never on research content. No stored instance is ever edited.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

from highdicom import sr
from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from pydicom import Dataset, dcmread
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as PydicomCode

from orchestrator.dicom import provenance
from orchestrator.dicom.concepts import own_code
from orchestrator.dicom.conformance import check_attestation, check_object
from orchestrator.dicom.evidence import evidence, reference_to
from orchestrator.dicom.identity import CHARACTER_SET, patient_and_study
from orchestrator.dicom.provenance import Clock, Uids
from orchestrator.dicom.sr import name_coding_schemes
from orchestrator.domain.errors import ForbiddenTransition
from orchestrator.domain.records import ReviewRecord
from orchestrator.domain.review import RejectReason, ReviewState

_QUALITY_REASONS: dict[RejectReason, PydicomCode] = {
    RejectReason.WRONG: own_code("wrong", "Finding or outline is not right"),
    RejectReason.INCOMPLETE: own_code("incomplete", "Finding or outline is incomplete"),
    RejectReason.NOT_USEFUL: own_code("not-useful", "Not useful"),
}
"""CID 7011 is extensible and knows only faults of acquisition."""
_SAFETY_REASONS = {
    RejectReason.WRONG_PATIENT: "wrong patient",
    RejectReason.WRONG_SIDE: "wrong side",
    RejectReason.WRONG_GEOMETRY: "wrong geometry",
}
_TITLE = "AI result, accepted by a physician"


def attest(report: Path, verdict: ReviewRecord) -> Dataset:
    """Return a new, verified SR with the contents of the AI's, which it names as its predecessor (PS3.3 C.17.2.2).

    Its title says that it is an accepted AI result, so that nobody takes it for the radiologist's report.
    Raises ForbiddenTransition for a verdict that accepts nothing, names no person and organization, or is
    on research content; ConformanceError.
    """
    written = dcmread(report)
    _check_attestable(written, verdict)
    clock = _clock(written, verdict)
    attested = copy.deepcopy(written)
    attested.VerificationFlag, attested.PreliminaryFlag = "VERIFIED", "FINAL"
    attested.VerifyingObserverSequence = [_observer(verdict, clock)]
    attested.PredecessorDocumentsSequence = [_predecessor(written)]
    attested.SeriesDescription = f"{_TITLE}: {written.get('ManufacturerModelName', '')}"[:64].strip()
    attested.ContributingEquipmentSequence[0].ContributionDescription = "AI inference, accepted by a physician"
    provenance.stamp(attested, clock, _uids(verdict, [written]), "attestation")
    check_attestation(attested, patient_and_study(written))
    return attested


def reject(objects: Sequence[Path], reason: RejectReason, verdict: ReviewRecord) -> Dataset:
    """Return the rejection note (KOS, TID 2010) for all objects of a result.

    (113001, DCM) Rejected for Quality Reasons with its reason; (113037, DCM) Rejected for Patient Safety
    Reasons for a wrong patient, side or geometry. Raises ForbiddenTransition for a verdict that rejects
    nothing or names no person; ConformanceError.
    """
    if verdict.state not in {ReviewState.REJECTED, ReviewState.CORRECTED, ReviewState.SUPERSEDED} or not verdict.by:
        raise ForbiddenTransition(f"a verdict {verdict.state} of {verdict.by or 'nobody'} rejects nothing")
    written = [dcmread(path, stop_before_pixels=True) for path in objects]
    first = written[0]
    clock, uids = _clock(first, verdict), _uids(verdict, written)
    references = evidence(map(reference_to, written))
    note: Dataset = KeyObjectSelectionDocument(
        evidence=references,
        content=_rejection(references, reason, verdict),
        series_instance_uid=uids.of("rejection", "series"),
        series_number=int(first.SeriesNumber) + 1,
        sop_instance_uid=uids.of("rejection"),
        instance_number=1,
        manufacturer=first.Manufacturer,
        manufacturer_model_name=first.ManufacturerModelName,
        software_versions=list(first.SoftwareVersions),
        device_serial_number=first.DeviceSerialNumber,
        specific_character_set=CHARACTER_SET,
        series_description=f"Rejected AI result: {first.ManufacturerModelName}"[:64].strip(),
    )
    _tidy(note, None if reason.concerns_safety else _QUALITY_REASONS[reason])
    modules = patient_and_study(first)
    note.update(modules)
    note.ContentQualification = first.ContentQualification
    note.ContributingEquipmentSequence = first.ContributingEquipmentSequence
    name_coding_schemes(note)
    provenance.stamp(note, clock, uids, "rejection")
    check_object(note, modules)
    return note


def _rejection(references: list[Dataset], reason: RejectReason, verdict: ReviewRecord) -> KeyObjectSelection:
    titles = codes.cid7010
    return KeyObjectSelection(
        document_title=titles.RejectedForPatientSafetyReasons
        if reason.concerns_safety
        else titles.RejectedForQualityReasons,
        referenced_objects=references,
        observer_person_context=sr.ObserverContext(
            observer_type=codes.DCM.Person,
            observer_identifying_attributes=sr.PersonObserverIdentifyingAttributes(
                name=person_name(verdict.by), organization_name=verdict.organization or None
            ),
        ),
        description=": ".join(filter(None, (_SAFETY_REASONS.get(reason), verdict.comment))) or None,
    )


def _tidy(note: Dataset, reason: PydicomCode | None) -> None:
    """Put the reason (113011, DCM) first and take the concept names off references, as TID 2010 has them."""
    for item in note.ContentSequence:
        if item.ValueType in {"IMAGE", "COMPOSITE"} and "ConceptNameCodeSequence" in item:
            del item.ConceptNameCodeSequence
    if reason is not None:
        modifier = sr.CodeContentItem(
            codes.DCM.DocumentTitleModifier, reason, sr.RelationshipTypeValues.HAS_CONCEPT_MOD
        )
        note.ContentSequence.insert(0, modifier)


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


def person_name(text: str) -> str:
    """Return a name as PN: as it is where it has components, else "given family" turned round (PS3.5 6.2.1)."""
    clean = provenance.text_of(text).replace("=", " ")
    if "^" in clean or " " not in clean:
        return clean if "^" in clean else f"{clean}^"
    given, family = clean.rsplit(" ", 1)
    return f"{family}^{given}"


def _predecessor(written: Dataset) -> Dataset:
    instance = Dataset()
    instance.ReferencedSOPClassUID, instance.ReferencedSOPInstanceUID = written.SOPClassUID, written.SOPInstanceUID
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedSOPSequence = written.SeriesInstanceUID, [instance]
    study = Dataset()
    study.StudyInstanceUID, study.ReferencedSeriesSequence = written.StudyInstanceUID, [series]
    return study


def _clock(written: Dataset, verdict: ReviewRecord) -> Clock:
    return Clock.of(verdict.at, str(written.get("TimezoneOffsetFromUTC") or ""))


def _uids(verdict: ReviewRecord, written: Sequence[Dataset]) -> Uids:
    """Return UIDs that follow from the verdict and the objects it is about."""
    about = " ".join(dataset.SOPInstanceUID for dataset in written)
    said = (verdict.state, verdict.by, verdict.organization, verdict.reason, verdict.comment, verdict.at.isoformat())
    return Uids(verdict.job_key, "\n".join((about, *said)))
