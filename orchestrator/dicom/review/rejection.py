"""Notes that reject objects in an archive (IHE IOCM): key object selections that list them and say why (TID 2010)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from highdicom import sr
from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as PydicomCode
from pydicom.uid import UID

from orchestrator.dicom.objects import provenance
from orchestrator.dicom.objects.concepts import own_code
from orchestrator.dicom.objects.identity import CHARACTER_SET, patient_and_study, study_identity
from orchestrator.dicom.objects.provenance import Clock, Uids
from orchestrator.dicom.objects.references import evidence, reference_of, reference_to
from orchestrator.dicom.objects.rules import check_object
from orchestrator.dicom.objects.storage import store
from orchestrator.dicom.objects.uid import derived_uid
from orchestrator.dicom.review.attestation import person, verdict_clock, verdict_uids
from orchestrator.dicom.sr.report import name_coding_schemes
from orchestrator.domain.errors import ForbiddenTransition, UnreadableFile
from orchestrator.domain.model import ModelDescription
from orchestrator.domain.records import JobRecord, Note, ObjectKind, ObjectRecord, ReviewRecord
from orchestrator.domain.review import RejectReason, ReviewState
from orchestrator.domain.series import Headers, StudyIdentity

_QUALITY_REASONS: dict[RejectReason, PydicomCode] = {
    RejectReason.WRONG: own_code("wrong", "Finding or outline is not right"),
    RejectReason.INCOMPLETE: own_code("incomplete", "Finding or outline is incomplete"),
    RejectReason.NOT_USEFUL: own_code("not-useful", "Not useful"),
}
"""CID 7011 is extensible and knows only faults of acquisition."""
_SUPERSEDED = own_code("superseded", "Superseded by a newer result")
_SAFETY_REASONS = {
    RejectReason.WRONG_PATIENT: "wrong patient",
    RejectReason.WRONG_SIDE: "wrong side",
    RejectReason.WRONG_GEOMETRY: "wrong geometry",
}
_IMAGES = frozenset({ObjectKind.SEG, ObjectKind.SC, ObjectKind.PM})
_LONGEST_TEXT = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What a note says. reason: for (113001, DCM) only; by: who says so, as TID 1002 has it."""

    series: str
    reason: PydicomCode | None
    text: str
    by: sr.ObserverContext

    @property
    def title(self) -> PydicomCode:
        """(113001, DCM) where there is a reason of quality, else (113037, DCM): a matter of patient safety."""
        titles = codes.cid7010
        title: PydicomCode = (
            titles.RejectedForPatientSafetyReasons if self.reason is None else titles.RejectedForQualityReasons
        )
        return title


def reject(objects: Sequence[Path], reason: RejectReason, verdict: ReviewRecord) -> Dataset:
    """Return the note by which a person rejects all objects of a result.

    (113001, DCM) Rejected for Quality Reasons with its reason; (113037, DCM) Rejected for Patient Safety
    Reasons for a wrong patient, side or geometry. Raises ForbiddenTransition for a verdict that rejects
    nothing or names no person; ConformanceError.
    """
    if verdict.state not in {ReviewState.REJECTED, ReviewState.CORRECTED, ReviewState.SUPERSEDED} or not verdict.by:
        raise ForbiddenTransition(f"a verdict {verdict.state} of {verdict.by or 'nobody'} rejects nothing")
    written = [dcmread(path, stop_before_pixels=True) for path in objects]
    first = written[0]
    said = _Said(
        series="Rejected AI result",
        reason=None if reason.concerns_safety else _QUALITY_REASONS[reason],
        text=": ".join(filter(None, (_SAFETY_REASONS.get(reason), verdict.comment))),
        by=person(verdict),
    )
    made = Dataset()
    for keyword in ("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions"):
        made[keyword] = first[keyword]
    made.SeriesNumber = int(first.SeriesNumber) + 1
    made.ContentQualification = first.ContentQualification
    made.ContributingEquipmentSequence = first.ContributingEquipmentSequence
    references = [reference_to(each) for each in written]
    uids = verdict_uids(verdict, references)
    return _note(said, references, made, patient_and_study(first), verdict_clock(verdict, first), uids)


def withdraw(
    objects: Sequence[ObjectRecord],
    note: Note,
    *,
    job: JobRecord,
    verdict: ReviewRecord,
    folder: Path,
    identity: StudyIdentity | None = None,
    study: Headers | None = None,
    newer: str = "",
) -> ObjectRecord:
    """Return the note, stored in the folder, by which the host withdraws objects of a job from an archive.

    Superseded: (113001, DCM) with the reason (superseded, 99ORCH), said by the host. Retracted: (113037, DCM) with
    the reason in words, said by the person who ordered it; ``verdict`` is what the ledger holds of either.
    Patient and study are those of the objects' files; ``identity``, as the archive holds them now, takes their
    place, and suffices where the files are gone; ``study``, what the archive answers of the study, then completes it.
    newer: what took their place, in words.
    Raises UnreadableFile where nobody says whose the objects are; ConformanceError.
    """
    header = _first_header(objects)
    if header is None and identity is None:
        raise UnreadableFile("the objects' files are gone, and the destination cannot be asked whose they are")
    model = ModelDescription(name=job.model, version=job.model_version, digest=job.model_digest)
    own = _of_study(study or {}) if header is None else header
    clock = verdict_clock(verdict, own)
    made = provenance.equipment(model)
    made.SeriesNumber = provenance.series_number(model, f"KO {note}")
    made.ContentQualification = own.get("ContentQualification") or provenance.qualification(model, "")
    made.ContributingEquipmentSequence = [provenance.contribution(model, clock)]
    modules = patient_and_study(own, _if_other(identity, header))
    references = [_reference(item) for item in objects]
    said = _superseded(newer) if note is Note.SUPERSEDED else _retracted(verdict)
    uids = verdict_uids(verdict, [modules, made, *references], note, said.text)
    return store(_note(said, references, made, modules, clock, uids), job.key, folder)


def _superseded(newer: str) -> _Said:
    host = sr.DeviceObserverIdentifyingAttributes(
        uid=derived_uid("device", provenance.HOST), name=provenance.HOST, manufacturer_name=provenance.HOST
    )
    by = sr.ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=host)
    return _Said(series="Superseded AI result", reason=_SUPERSEDED, text=f"Superseded: {newer}", by=by)


def _retracted(verdict: ReviewRecord) -> _Said:
    text = f"The model was retracted: {verdict.comment}"
    return _Said(series="Retracted AI result", reason=None, text=text, by=person(verdict))


def _note(
    said: _Said, references: Sequence[Dataset], made: Dataset, modules: Dataset, clock: Clock, uids: Uids
) -> Dataset:
    """Return the note, checked; made: the equipment, the series' number and the qualification."""
    listed = evidence(references)
    note: Dataset = KeyObjectSelectionDocument(
        evidence=listed,
        content=_selection(said, listed),
        series_instance_uid=uids.of("rejection", "series"),
        series_number=made.SeriesNumber,
        sop_instance_uid=uids.of("rejection"),
        instance_number=1,
        manufacturer=made.Manufacturer,
        specific_character_set=CHARACTER_SET,
        series_description=provenance.text_of(f"{said.series}: {made.ManufacturerModelName}"),
    )
    _tidy(note, said.reason)
    note.update(made)
    note.update(modules)
    name_coding_schemes(note)
    provenance.stamp(note, clock, uids, "rejection")
    check_object(note, modules)
    return note


def _selection(said: _Said, references: Sequence[Dataset]) -> KeyObjectSelection:
    of_person = said.by.observer_type == codes.DCM.Person
    return KeyObjectSelection(
        document_title=said.title,
        referenced_objects=references,
        observer_person_context=said.by if of_person else None,
        observer_device_context=None if of_person else said.by,
        description=said.text[:_LONGEST_TEXT] or None,
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


def _first_header(objects: Sequence[ObjectRecord]) -> Dataset | None:
    """Return the header of the first object whose file is still there."""
    for item in objects:
        with suppress(OSError, InvalidDicomError):
            return dcmread(item.path, stop_before_pixels=True)
    return None


def _of_study(answered: Headers) -> Dataset:
    """Return a header of what an archive answers of a study beside its identity."""
    header = Dataset()
    for keyword in ("StudyDate", "StudyTime", "StudyID", "StudyDescription"):
        if keyword in answered:
            setattr(header, keyword, str(answered[keyword][0]))
    return header


def _if_other(identity: StudyIdentity | None, header: Dataset | None) -> StudyIdentity | None:
    """Return the identity where it differs from what the header says: the same patient's stays as it is written."""
    if identity is None or header is None:
        return identity
    return identity if study_identity(header).differences(identity) else None


def _reference(item: ObjectRecord) -> Dataset:
    """Return a reference; by rows and columns highdicom tells images from other objects."""
    header = reference_of(item)
    if item.kind in _IMAGES or "Image Storage" in UID(item.sop_class).name:
        header.Rows = header.Columns = 1
    return header
