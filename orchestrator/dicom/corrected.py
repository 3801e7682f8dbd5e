"""A report as a person corrected it: a verified SR with that person's values, which follows the AI's.

Built and tested, and switched off like every attestation: nothing sends it before people can log in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from highdicom import sr
from pydicom import Dataset, dcmread
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as PydicomCode

from orchestrator.dicom import concepts as own
from orchestrator.dicom import content
from orchestrator.dicom.provenance import code_item
from orchestrator.dicom.review import person, verify
from orchestrator.dicom.summary import finding_items, measured_items
from orchestrator.domain import concepts
from orchestrator.domain.correction import NONE, Entry
from orchestrator.domain.errors import ForbiddenTransition
from orchestrator.domain.records import ReviewRecord
from orchestrator.domain.result import Presence, Urgency
from orchestrator.domain.review import ReviewState

_SIDES = {side.meaning: side for side in (concepts.LEFT, concepts.RIGHT, concepts.BILATERAL, concepts.UNILATERAL)}
_FINDING, _TRACKING_UID = "121071", "112040"
_WITHOUT_PLACE = "1501"
"""TID 1501: a group of measurements and evaluations that shows nothing on an image."""


def correct(report: Path, verdict: ReviewRecord) -> Dataset:
    """Return a new, verified SR with the values of ``verdict.changes``, which names the AI's as its predecessor.

    What the person said stands where the AI's value stood, and what was changed in a comment. A finding that the
    person calls absent loses its place and the AI's score. Changes that came from an archive, which name no place, are
    in a document there already. Raises ForbiddenTransition for a verdict that corrects nothing here, names no person
    and organization, or is on research content, and for a change that does not fit the report; ConformanceError.
    """
    written = dcmread(report)
    changes = [change for change in verdict.changes if "at" in change]
    if verdict.state is not ReviewState.CORRECTED or not changes:
        raise ForbiddenTransition(f"a verdict {verdict.state} with {len(changes)} changes corrects no report")
    return verify(written, verdict, "corrected", lambda document: _rewrite(document, changes, verdict))


def _rewrite(document: Dataset, changes: Sequence[Entry], verdict: ReviewRecord) -> None:
    findings, measured = [*finding_items(document)], [*measured_items(document)]
    for change in changes:
        kind, _, rest = str(change["at"]).partition("/")
        place, _, field = rest.partition("/")
        index = int(place)
        if kind == "measurements" and index < len(measured):
            _put_number(measured[index][1], change)
        elif kind == "findings" and index < len(findings):
            group, _, item = findings[index]
            _FIELDS[field](document, group, item, str(change["after"]))
        else:
            raise ForbiddenTransition(f"the report says nothing at {change['at']}; it was written anew since")
    _insert_after_observers(document, person(verdict))
    said = (f"Corrected by a physician: {_in_words(change)}" for change in changes)
    document.ContentSequence.extend(_comment(text) for text in said)


def _put_number(item: Dataset, change: Entry) -> None:
    """Put the person's number in the place of the AI's; its unit stays."""
    value = float(str(change["after"]))
    measured = item.MeasuredValueSequence[0]
    unit = PydicomCode(content.unit(item), "UCUM", measured.MeasurementUnitsCodeSequence[0].CodeMeaning)
    anew = sr.NumContentItem(own.NO_UNITS, float(f"{value:.9g}"), unit, relationship_type=None)
    item.MeasuredValueSequence = anew.MeasuredValueSequence


def _put_presence(document: Dataset, group: Dataset, item: Dataset, after: str) -> None:
    presence = Presence(after)
    item.ConceptCodeSequence = [code_item(own.PRESENCE[presence])]
    name = content.name(item)
    document.ContentSequence = [each for each in content.children(document) if not _states(each, name)]
    if presence is not Presence.ABSENT:
        return
    if group is document:
        item.ContentSequence = [each for each in content.children(item) if each.ValueType != "NUM"]
    elif own.PRESENCE[Presence.PRESENT].value not in map(content.code, content.children(group)):
        _take_place(document, group, content.concept(item))


def _states(item: Dataset, name: str) -> bool:
    """Return whether an item says in a sentence what the finding of this name is; another one says it now."""
    is_statement = item.ValueType == "TEXT" and content.concept(item) == own.STATEMENT.value
    return is_statement and str(item.TextValue).startswith(f"{name}: ")


def _take_place(document: Dataset, group: Dataset, finding: str) -> None:
    """Let a group show nothing any more, and go all others that show the same finding or the same outline."""
    group.ContentTemplateSequence[0].TemplateIdentifier = _WITHOUT_PLACE
    placed = {"IMAGE", "SCOORD", "NUM"}
    group.ContentSequence = [
        each
        for each in content.children(group)
        if each.ValueType not in placed
        and content.concept(each) != _FINDING
        and not (each.ValueType == "UIDREF" and content.concept(each) != _TRACKING_UID)
    ]
    for part in content.children(document):
        if part.ValueType == "CONTAINER":
            part.ContentSequence = [
                each for each in content.children(part) if each is group or not _shows_same(each, group, finding)
            ]


def _shows_same(other: Dataset, group: Dataset, finding: str) -> bool:
    ours = [content.code(each) for each in content.children(other) if content.concept(each) == _FINDING]
    return finding in ours or (bool(_tracked(other)) and _tracked(other) == _tracked(group))


def _tracked(group: Dataset) -> str:
    found = (str(each.UID) for each in content.children(group) if content.concept(each) == _TRACKING_UID)
    return next(found, "")


def _put_side(_document: Dataset, group: Dataset, item: Dataset, after: str) -> None:
    """Put the person's side wherever the group, or the finding itself in a statement, names one."""
    side = code_item(_SIDES[after])
    for each in _with_children(content.children(item) or content.children(group)):
        if content.concept(each) == own.LATERALITY.value:
            each.ConceptCodeSequence = [side]


def _put_urgency(document: Dataset, group: Dataset, item: Dataset, after: str) -> None:
    """Put the person's urgency below the finding in a statement, else right behind it."""
    is_statement = group is document
    parent = item if is_statement else group
    items = [*content.children(parent)]
    place = 0 if is_statement else next(index for index, each in enumerate(items) if each is item) + 1
    known = [index for index, each in enumerate(items) if content.concept(each) == own.ACTIONABLE.value]
    known = [index for index in known if is_statement or index == place]
    for index in known:
        del items[index]
    if after != NONE:
        relation = sr.RelationshipTypeValues.HAS_PROPERTIES if is_statement else sr.RelationshipTypeValues.CONTAINS
        said = sr.CodeContentItem(own.ACTIONABLE, own.URGENCY[Urgency(after)], relation)
        items.insert(known[0] if known else place, said)
    parent.ContentSequence = items


_FIELDS = {"value": _put_presence, "laterality": _put_side, "urgency": _put_urgency}


def _with_children(items: Sequence[Dataset]) -> Iterator[Dataset]:
    for item in items:
        yield item
        yield from _with_children(content.children(item))


def _insert_after_observers(document: Dataset, observer: Sequence[Dataset]) -> None:
    """Name the person beside the device (TID 1001); both observed what the report says now."""
    items = [*content.children(document)]
    last = max((index for index, each in enumerate(items) if each.RelationshipType == "HAS OBS CONTEXT"), default=0)
    document.ContentSequence = [*items[: last + 1], *observer, *items[last + 1 :]]


def _comment(text: str) -> Dataset:
    item: Dataset = sr.TextContentItem(codes.DCM.Comment, text, sr.RelationshipTypeValues.CONTAINS)
    return item


def _in_words(change: Mapping[str, object]) -> str:
    unit = f" {change['unit']}" if change.get("unit") else ""
    return f"{change['what']}: {change['before']} -> {change['after']}{unit}"
