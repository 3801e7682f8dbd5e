"""Writes rejection notes (IHE IOCM): key object selections that list objects to hide, with the reason (TID 2010)."""

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
from orchestrator.dicom.objects.provenance import Clock, DerivedUids
from orchestrator.dicom.objects.references import evidence, reference_of, reference_to
from orchestrator.dicom.objects.rules import check_object
from orchestrator.dicom.objects.storage import store
from orchestrator.dicom.objects.uid import derive_uid
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
"""Own codes: CID 7011 is extensible and has only faults of the acquisition."""
_SUPERSEDED = own_code("superseded", "Superseded by a newer result")
_SAFETY_REASONS = {
    RejectReason.WRONG_PATIENT: "wrong patient",
    RejectReason.WRONG_SIDE: "wrong side",
    RejectReason.WRONG_GEOMETRY: "wrong geometry",
}
_IMAGES = frozenset({ObjectKind.SEG, ObjectKind.SC, ObjectKind.PM})
_LONGEST_TEXT = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class _NoteContent:
    """Texts and codes of one note. reason: for (113001, DCM) only. observer: the author (TID 1002)."""

    series: str
    reason: PydicomCode | None
    text: str
    observer: sr.ObserverContext

    @property
    def title(self) -> PydicomCode:
        """(113001, DCM) where a quality reason is given, else (113037, DCM), patient safety."""
        titles = codes.cid7010
        title: PydicomCode = (
            titles.RejectedForPatientSafetyReasons if self.reason is None else titles.RejectedForQualityReasons
        )
        return title


def reject(objects: Sequence[Path], reason: RejectReason, verdict: ReviewRecord) -> Dataset:
    """Return the rejection note of a person for all objects of a result.

    The title is (113037, DCM) Rejected for Patient Safety Reasons for a wrong patient, side or geometry,
    else (113001, DCM) Rejected for Quality Reasons.
    Raises ForbiddenTransition where the verdict does not reject or names no person; ConformanceError.
    """
    if verdict.state not in {ReviewState.REJECTED, ReviewState.CORRECTED, ReviewState.SUPERSEDED}:
        raise ForbiddenTransition(f"the verdict is {verdict.state}; only a rejected or replaced result gets a note")
    if not verdict.by:
        raise ForbiddenTransition("a rejection note needs the person who gave the verdict; the name is missing")
    headers = [dcmread(path, stop_before_pixels=True) for path in objects]
    first = headers[0]
    content = _NoteContent(
        series="Rejected AI result",
        reason=None if reason.concerns_safety else _QUALITY_REASONS[reason],
        text=": ".join(filter(None, (_SAFETY_REASONS.get(reason), verdict.comment))),
        observer=person(verdict),
    )
    origin = Dataset()
    for keyword in ("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions"):
        origin[keyword] = first[keyword]
    origin.SeriesNumber = int(first.SeriesNumber) + 1
    origin.ContentQualification = first.ContentQualification
    origin.ContributingEquipmentSequence = first.ContributingEquipmentSequence
    references = [reference_to(each) for each in headers]
    uids = verdict_uids(verdict, references)
    return _build_note(content, references, origin, patient_and_study(first), verdict_clock(verdict, first), uids)


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
    """Write the note by which the host withdraws objects of a job from an archive; return its record.

    A superseded result: (113001, DCM) with the reason (superseded, 99ORCH); the host is the observer.
    A retracted result: (113037, DCM) with the reason as text; the person who ordered it is the observer.

    verdict: the review of the job in the ledger.
    identity: patient and study as the archive has them now; it overrides the files, and is enough without files.
    study: more study attributes from the archive, used where the files are gone.
    newer: the result that replaces this one, in words.
    Raises UnreadableFile where neither files nor archive give the identity; ConformanceError.
    """
    header = _first_header(objects)
    if header is None and identity is None:
        raise UnreadableFile(
            "patient and study of the objects are unknown: their files are gone and the destination cannot be queried"
        )
    model = ModelDescription(name=job.model, version=job.model_version, digest=job.model_digest)
    source = _study_header(study or {}) if header is None else header
    clock = verdict_clock(verdict, source)
    origin = provenance.equipment(model)
    origin.SeriesNumber = provenance.series_number(model, f"KO {note}")
    origin.ContentQualification = source.get("ContentQualification") or provenance.qualification(model, "")
    origin.ContributingEquipmentSequence = [provenance.contribution(model, clock)]
    modules = patient_and_study(source, _changed_identity(identity, header))
    references = [_reference(item) for item in objects]
    content = _superseded(newer) if note is Note.SUPERSEDED else _retracted(verdict)
    uids = verdict_uids(verdict, [modules, origin, *references], note, content.text)
    return store(_build_note(content, references, origin, modules, clock, uids), job.key, folder)


def _superseded(newer: str) -> _NoteContent:
    host = sr.DeviceObserverIdentifyingAttributes(
        uid=derive_uid("device", provenance.HOST), name=provenance.HOST, manufacturer_name=provenance.HOST
    )
    observer = sr.ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=host)
    return _NoteContent(
        series="Superseded AI result", reason=_SUPERSEDED, text=f"Superseded: {newer}", observer=observer
    )


def _retracted(verdict: ReviewRecord) -> _NoteContent:
    text = f"The model was retracted: {verdict.comment}"
    return _NoteContent(series="Retracted AI result", reason=None, text=text, observer=person(verdict))


def _build_note(
    content: _NoteContent,
    references: Sequence[Dataset],
    origin: Dataset,
    modules: Dataset,
    clock: Clock,
    uids: DerivedUids,
) -> Dataset:
    """Return the note, checked against the rules. origin: equipment, series number and qualification."""
    headers = evidence(references)
    note: Dataset = KeyObjectSelectionDocument(
        evidence=headers,
        content=_selection(content, headers),
        series_instance_uid=uids.of("rejection", "series"),
        series_number=origin.SeriesNumber,
        sop_instance_uid=uids.of("rejection"),
        instance_number=1,
        manufacturer=origin.Manufacturer,
        specific_character_set=CHARACTER_SET,
        series_description=provenance.clean_text(f"{content.series}: {origin.ManufacturerModelName}"),
    )
    _correct_content(note, content.reason)
    note.update(origin)
    note.update(modules)
    name_coding_schemes(note)
    provenance.stamp(note, clock, uids, "rejection")
    check_object(note, modules)
    return note


def _selection(content: _NoteContent, references: Sequence[Dataset]) -> KeyObjectSelection:
    is_person = content.observer.observer_type == codes.DCM.Person
    return KeyObjectSelection(
        document_title=content.title,
        referenced_objects=references,
        observer_person_context=content.observer if is_person else None,
        observer_device_context=None if is_person else content.observer,
        description=content.text[:_LONGEST_TEXT] or None,
    )


def _correct_content(note: Dataset, reason: PydicomCode | None) -> None:
    """Follow TID 2010 where highdicom does not: the reason (113011, DCM) comes first, references have no name."""
    for item in note.ContentSequence:
        if item.ValueType in {"IMAGE", "COMPOSITE"} and "ConceptNameCodeSequence" in item:
            del item.ConceptNameCodeSequence
    if reason is not None:
        modifier = sr.CodeContentItem(
            codes.DCM.DocumentTitleModifier, reason, sr.RelationshipTypeValues.HAS_CONCEPT_MOD
        )
        note.ContentSequence.insert(0, modifier)


def _first_header(objects: Sequence[ObjectRecord]) -> Dataset | None:
    """Return the header of the first object whose file still exists, None where all files are gone."""
    for item in objects:
        with suppress(OSError, InvalidDicomError):
            return dcmread(item.path, stop_before_pixels=True)
    return None


def _study_header(attributes: Headers) -> Dataset:
    """Return a header with the study attributes that an archive returned."""
    header = Dataset()
    for keyword in ("StudyDate", "StudyTime", "StudyID", "StudyDescription"):
        if keyword in attributes:
            setattr(header, keyword, str(attributes[keyword][0]))
    return header


def _changed_identity(identity: StudyIdentity | None, header: Dataset | None) -> StudyIdentity | None:
    """Return the identity where it differs from the header, else None: an equal identity keeps its spelling."""
    if identity is None or header is None:
        return identity
    return identity if study_identity(header).differences(identity) else None


def _reference(item: ObjectRecord) -> Dataset:
    """Return a reference; highdicom takes an object with Rows and Columns for an image."""
    header = reference_of(item)
    if item.kind in _IMAGES or "Image Storage" in UID(item.sop_class).name:
        header.Rows = header.Columns = 1
    return header
