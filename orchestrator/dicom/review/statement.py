"""What an SR, a SEG or a key object selection says about other objects, as a radiologist leaves it in the archive.

Reading only: whose object it is, whether it counts, and for which result, is decided in ``pipeline.verdicts``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset
from pydicom.valuerep import PersonName

from orchestrator.dicom.objects import sr_tree
from orchestrator.dicom.objects.identity import study_identity
from orchestrator.dicom.objects.provenance import OWN_SCHEME, text_of
from orchestrator.dicom.read.header import read_whole
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
"""Titles of a rejection note that judge what they name (CID 7010, IHE IOCM).

(113039, DCM) Data Retention Policy Expired is one too; it says that objects are old, not that they are wrong.
"""
_PER_FRAME = 0x52009230
_TITLE_MODIFIER, _PERSON_NAME, _ORGANIZATION = "113011", "121008", "121009"


@dataclass(frozen=True, slots=True)
class Statement:
    """What one object says.

    kind: SR, SEG or KO. judges: it is of a kind that can be a verdict: a verified SR, a SEG, a rejection note.
    predecessors: SOP Instance UIDs of the documents that it takes the place of; references: of all else it names.
    by, organization: who verified or rejected, empty where it does not say. reason: why it rejects, as coded.
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
    """Return which kind of statement objects of a class are, None where they are none."""
    if sop_class in _SEGMENTATIONS:
        return ObjectKind.SEG
    if sop_class == _KEY_OBJECTS:
        return ObjectKind.KO
    return ObjectKind.SR if sop_class.startswith(_REPORTS) else None


def states(instance: Instance) -> bool:
    """Return whether an instance is an SR, a SEG or a key object selection."""
    return kind_of(instance.sop_class) is not None


def read_statement(path: Path) -> Statement:
    """Return what the object in a file says.

    Raises UnreadableFile where it is no SR, SEG or KO, or breaks the rules of its kind.
    """
    with as_unreadable("SR, SEG or KO"):
        return statement(read_whole(path))


@contextmanager
def as_unreadable(what: str) -> Iterator[None]:
    """Raise UnreadableFile for whatever goes wrong: others write objects that break in ways of their own.

    Its text names the kind of fault only: the fault itself could quote what it found.
    """
    try:
        with quiet():
            yield
    except OrchestratorError:
        raise
    except Exception as fault:  # noqa: BLE001  # whatever it is, that it cannot be read is all there is to say
        raise UnreadableFile(f"it cannot be read as {what} ({type(fault).__name__})") from None


def statement(written: Dataset) -> Statement:
    """Return what an object says.

    Raises ValueError where it is of another class; AttributeError and the like where required attributes lack.
    """
    kind = kind_of(str(written.SOPClassUID))
    if kind is ObjectKind.SEG:
        return _read(written, kind, judges=True, references=frozenset(_references(written)))
    if kind is ObjectKind.KO:
        return _selection(written)
    if kind is ObjectKind.SR:
        return _report(written)
    raise ValueError("neither SR nor SEG nor KO")


def _read(
    written: Dataset,
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
        sop_uid=str(written.SOPInstanceUID),
        series_uid=str(written.SeriesInstanceUID),
        identity=study_identity(written),
        judges=judges,
        predecessors=predecessors,
        references=references,
        by=who[0],
        organization=who[1],
        reason=reason,
    )


def _report(written: Dataset) -> Statement:
    predecessors = {uid for item in written.get("PredecessorDocumentsSequence", []) for uid in _references(item)}
    return _read(
        written,
        ObjectKind.SR,
        judges=written.get("VerificationFlag") == "VERIFIED",
        predecessors=frozenset(predecessors),
        references=frozenset(_references(written)) - predecessors,
        who=_verifier(written),
    )


def _selection(written: Dataset) -> Statement:
    """Return what a key object selection says: what its content names counts (TID 2010), not its evidence."""
    title = sr_tree.concept(written)
    named = {uid for item in sr_tree.children(written) for uid in _references(item)}
    return _read(
        written,
        ObjectKind.KO,
        judges=_scheme(written.ConceptNameCodeSequence[0]) == "DCM" and title in REJECTIONS,
        references=frozenset(named),
        who=_observer(written),
        reason=_reason(written),
    )


def _references(item: Dataset) -> Iterator[str]:
    """Yield the SOP Instance UIDs that an item and all below it refer to.

    What frames refer to stands at the top too (Common Instance Reference, PS3.3 C.12.2), once and not a thousand times.
    """
    for tag in item.keys() - {_PER_FRAME}:
        element = item[tag]
        if element.VR == "SQ":
            for below in element.value:
                yield from _references(below)
        elif element.keyword == "ReferencedSOPInstanceUID":
            yield str(element.value)


def _verifier(written: Dataset) -> tuple[str, str]:
    """Return name and organisation of the last who verified the document (PS3.3 C.17.2)."""
    observers = list(written.get("VerifyingObserverSequence", []))
    if not observers:
        return "", ""
    last = max(observers, key=lambda each: str(each.get("VerificationDateTime", "")))
    return shown_name(last.get("VerifyingObserverName")), text_of(str(last.get("VerifyingOrganization") or ""))


def _observer(written: Dataset) -> tuple[str, str]:
    """Return name and organisation of the person who selected the objects (TID 1003)."""
    items = {sr_tree.concept(item): item for item in sr_tree.children(written)}
    name = items[_PERSON_NAME].get("PersonName") if _PERSON_NAME in items else None
    organization = items[_ORGANIZATION].get("TextValue") if _ORGANIZATION in items else None
    return shown_name(name), text_of(str(organization or ""))


def _reason(written: Dataset) -> str:
    """Return why objects are rejected: the title's modifier (113011, DCM), else the title itself."""
    modifiers = [item for item in sr_tree.children(written) if sr_tree.concept(item) == _TITLE_MODIFIER]
    coded = modifiers[0].ConceptCodeSequence[0] if modifiers else written.ConceptNameCodeSequence[0]
    value, scheme = sr_tree.value_of(coded), _scheme(coded)
    if scheme == OWN_SCHEME and value in set(RejectReason):
        return value
    meaning = REJECTIONS.get(value) or text_of(str(coded.get("CodeMeaning") or "")) or "no meaning given"
    return f"{meaning} ({value}, {scheme})"


def _scheme(coded: Dataset) -> str:
    return str(coded.get("CodingSchemeDesignator") or "")


def shown_name(name: object) -> str:
    """Return a person's name (PS3.5 6.2, PN) as people write it: prefix, given, middle, family name, suffix."""
    spelt = PersonName(str(name or ""))
    parts = next((group for group in (spelt.alphabetic, spelt.ideographic, spelt.phonetic) if group), "").split("^")
    family, given, middle, prefix, suffix = (*parts, *[""] * 5)[:5]
    return text_of(" ".join(filter(None, (prefix, given, middle, family, suffix))))
