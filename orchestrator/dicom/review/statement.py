"""Reads the SR, SEG or key object selection by which a radiologist states a verdict in the archive.

This module only reads. ``pipeline.verdicts`` decides whether a statement counts, and for which result.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset
from pydicom.valuerep import PersonName

from orchestrator.dicom.headers.header import read_whole
from orchestrator.dicom.objects import sr_tree
from orchestrator.dicom.objects.identity import study_identity
from orchestrator.dicom.objects.provenance import OWN_SCHEME, clean_text
from orchestrator.domain.errors import OrchestratorError, UnreadableFile
from orchestrator.domain.quiet import quiet
from orchestrator.domain.records import ObjectKind
from orchestrator.domain.review import RejectReason
from orchestrator.domain.series import Instance, StudyIdentity

_KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"
_REPORTS = "1.2.840.10008.5.1.4.1.1.88."
_SEGMENTATIONS = frozenset({"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"})

REJECTIONS = {
    "113001": "Rejected for Quality Reasons",
    "113037": "Rejected for Patient Safety Reasons",
    "113038": "Incorrect Modality Worklist Entry",
}
"""Titles of rejection notes that are a verdict (CID 7010, IHE IOCM), by code.

(113039, DCM) Data Retention Policy Expired is not listed: it says that objects are old, not that they are wrong.
"""
_PER_FRAME = 0x52009230
_TITLE_MODIFIER, _PERSON_NAME, _ORGANIZATION = "113011", "121008", "121009"


@dataclass(frozen=True, slots=True)
class Statement:
    """What one SR, SEG or KO states about other objects.

    judges: whether the object can be a verdict: a verified SR, a SEG or a rejection note.
    predecessors: SOP Instance UIDs of the documents that this one replaces.
    references: SOP Instance UIDs of all other objects that it names.
    by, organization: who verified or rejected; empty where not given.
    reason: the code of the rejection, empty for other objects.
    """

    kind: ObjectKind
    sop_uid: str
    series_uid: str
    identity: StudyIdentity
    judges: bool
    predecessors: frozenset[str] = frozenset()
    references: frozenset[str] = frozenset()
    by: str = ""
    organization: str = ""
    reason: str = ""


def kind_of(sop_class: str) -> ObjectKind | None:
    """Return SR, SEG or KO for a SOP class, None for any other class."""
    if sop_class in _SEGMENTATIONS:
        return ObjectKind.SEG
    if sop_class == _KEY_OBJECTS:
        return ObjectKind.KO
    return ObjectKind.SR if sop_class.startswith(_REPORTS) else None


def states(instance: Instance) -> bool:
    """Return whether an instance is an SR, a SEG or a key object selection."""
    return kind_of(instance.sop_class) is not None


def read_statement(path: Path) -> Statement:
    """Return the statement of the object in a file.

    Raises UnreadableFile where the object is not an SR, SEG or KO, or breaks the rules of its kind.
    """
    with as_unreadable("SR, SEG or KO"):
        return statement(read_whole(path))


@contextmanager
def as_unreadable(what: str) -> Iterator[None]:
    """Raise UnreadableFile for any exception in the block: objects of others can break in any way.

    The message names only the type of the exception, because its text could quote patient data.
    """
    try:
        with quiet():
            yield
    except OrchestratorError:
        raise
    except Exception as fault:  # noqa: BLE001  # pydicom and highdicom raise exceptions of any type
        raise UnreadableFile(f"the file cannot be read as {what} ({type(fault).__name__})") from None


def statement(dataset: Dataset) -> Statement:
    """Return the statement of an object.

    Raises ValueError for another SOP class; AttributeError and others where required attributes are missing.
    """
    kind = kind_of(str(dataset.SOPClassUID))
    if kind is ObjectKind.SEG:
        return _build(dataset, kind, judges=True, references=frozenset(_references(dataset)))
    if kind is ObjectKind.KO:
        return _selection(dataset)
    if kind is ObjectKind.SR:
        return _report(dataset)
    raise ValueError("the object is not an SR, SEG or KO")


def _build(
    dataset: Dataset,
    kind: ObjectKind,
    *,
    judges: bool,
    predecessors: frozenset[str] = frozenset(),
    references: frozenset[str] = frozenset(),
    who: tuple[str, str] = ("", ""),
    reason: str = "",
) -> Statement:
    return Statement(
        kind=kind,
        sop_uid=str(dataset.SOPInstanceUID),
        series_uid=str(dataset.SeriesInstanceUID),
        identity=study_identity(dataset),
        judges=judges,
        predecessors=predecessors,
        references=references,
        by=who[0],
        organization=who[1],
        reason=reason,
    )


def _report(dataset: Dataset) -> Statement:
    predecessors = {uid for item in dataset.get("PredecessorDocumentsSequence", []) for uid in _references(item)}
    return _build(
        dataset,
        ObjectKind.SR,
        judges=dataset.get("VerificationFlag") == "VERIFIED",
        predecessors=frozenset(predecessors),
        references=frozenset(_references(dataset)) - predecessors,
        who=_verifier(dataset),
    )


def _selection(dataset: Dataset) -> Statement:
    """Return the statement of a key object selection; its content counts (TID 2010), not its evidence."""
    title = sr_tree.concept(dataset)
    uids = {uid for item in sr_tree.children(dataset) for uid in _references(item)}
    return _build(
        dataset,
        ObjectKind.KO,
        judges=_scheme(dataset.ConceptNameCodeSequence[0]) == "DCM" and title in REJECTIONS,
        references=frozenset(uids),
        who=_observer(dataset),
        reason=_reason(dataset),
    )


def _references(item: Dataset) -> Iterator[str]:
    """Yield the SOP Instance UIDs that an item and all items below it refer to.

    Per-frame groups are skipped: Common Instance Reference (PS3.3 C.12.2) lists the same UIDs once.
    """
    for tag in item.keys() - {_PER_FRAME}:
        element = item[tag]
        if element.VR == "SQ":
            for below in element.value:
                yield from _references(below)
        elif element.keyword == "ReferencedSOPInstanceUID":
            yield str(element.value)


def _verifier(dataset: Dataset) -> tuple[str, str]:
    """Return name and organization of the last person who verified the document (PS3.3 C.17.2)."""
    observers = list(dataset.get("VerifyingObserverSequence", []))
    if not observers:
        return "", ""
    last = max(observers, key=lambda each: str(each.get("VerificationDateTime", "")))
    return shown_name(last.get("VerifyingObserverName")), clean_text(str(last.get("VerifyingOrganization") or ""))


def _observer(dataset: Dataset) -> tuple[str, str]:
    """Return name and organization of the person who selected the objects (TID 1003)."""
    items = {sr_tree.concept(item): item for item in sr_tree.children(dataset)}
    name = items[_PERSON_NAME].get("PersonName") if _PERSON_NAME in items else None
    organization = items[_ORGANIZATION].get("TextValue") if _ORGANIZATION in items else None
    return shown_name(name), clean_text(str(organization or ""))


def _reason(dataset: Dataset) -> str:
    """Return the reason of a rejection: the title modifier (113011, DCM), else the title."""
    modifiers = [item for item in sr_tree.children(dataset) if sr_tree.concept(item) == _TITLE_MODIFIER]
    code = modifiers[0].ConceptCodeSequence[0] if modifiers else dataset.ConceptNameCodeSequence[0]
    value, scheme = sr_tree.value_of(code), _scheme(code)
    if scheme == OWN_SCHEME and value in set(RejectReason):
        return value
    meaning = REJECTIONS.get(value) or clean_text(str(code.get("CodeMeaning") or "")) or "no meaning given"
    return f"{meaning} ({value}, {scheme})"


def _scheme(code: Dataset) -> str:
    return str(code.get("CodingSchemeDesignator") or "")


def shown_name(name: object) -> str:
    """Return a PN (PS3.5 6.2) as people write it: prefix, given, middle and family name, suffix."""
    parsed = PersonName(str(name or ""))
    parts = next((group for group in (parsed.alphabetic, parsed.ideographic, parsed.phonetic) if group), "").split("^")
    family, given, middle, prefix, suffix = (*parts, *[""] * 5)[:5]
    return clean_text(" ".join(filter(None, (prefix, given, middle, family, suffix))))
