"""In what a document of a person differs from the AI's: numbers, presence of findings, outlines."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset

from orchestrator.dicom.objects import concepts as own
from orchestrator.dicom.objects import sr_tree
from orchestrator.dicom.objects.provenance import text_of
from orchestrator.dicom.read.header import read_whole
from orchestrator.dicom.review.statement import as_unreadable

_TRACKING_ID, _TRACKING_UID = "112039", "112040"
_PRESENCE = {code.value: presence for presence, code in own.PRESENCE.items()}
_SCORES = frozenset({own.SCORE.value, own.CERTAINTY.value, own.REGION_SCORE.value, own.IMAGE_SCORE.value})
"""What only a model says of its own answer; a person need not repeat it."""
_ROUNDING = 1e-3

Key = tuple[str, str, int]
"""Tracking UID (empty where a document has none), code of the concept, and the how-manieth of these it is."""
Changes = tuple[Mapping[str, object], ...]


@dataclass(frozen=True, slots=True)
class _Said:
    """One thing said: a number with its unit (UCUM), a presence, or a place as text."""

    what: str
    value: float | str
    unit: str = ""

    def agrees(self, other: _Said) -> bool:
        """Return whether both say the same; a thousandth is rounding."""
        if isinstance(self.value, float) and isinstance(other.value, float):
            return self.unit == other.unit and math.isclose(self.value, other.value, rel_tol=_ROUNDING)
        return self.value == other.value


def corrections(ours: Path, theirs: Path, *, whole: bool) -> Changes | None:
    """Return what the document in a file says otherwise than ours, None where it says nothing about ours.

    whole: it takes the place of ours. Raises UnreadableFile, for ours too where its file is gone.
    """
    with as_unreadable("SR"):
        mine, other = read_whole(ours), read_whole(theirs)
        return changes(mine, other, whole=whole) if whole or repeats(mine, other) else None


def repeats(ours: Dataset, theirs: Dataset) -> bool:
    """Return whether a document says something about what ours tracks, by the same tracking UID."""
    return bool(_tracked(ours) & _tracked(theirs))


def changes(ours: Dataset, theirs: Dataset, *, whole: bool) -> Changes:
    """Return what a document says otherwise than ours, as a review keeps it; nothing where both agree.

    whole: it takes the place of ours, so what it leaves out and what it adds counts too; else only what both track.
    """
    before = dict(_all(ours, {}))
    after = dict(_all(theirs, {identifier: uid for uid, identifier in _identifiers(ours).items()}))
    shared = _tracked(ours) & _tracked(theirs)
    compared = [key for key in before if whole or key[0] in shared]
    said = [_change(before[key], after.get(key)) for key in compared]
    added = [_addition(after[key]) for key in after if whole and key not in before]
    return tuple(change for change in (*said, *added) if change)


def _change(before: _Said, after: _Said | None) -> Mapping[str, object]:
    """Return what became of something that ours says, nothing where it stayed."""
    if after is not None and before.agrees(after):
        return {}
    if before.what.startswith("Outline"):  # a hundred coordinates tell a person nothing
        return _entry(before.what, "as the model drew it", "drawn anew" if after else None, "")
    unit = before.unit if after is None or after.unit == before.unit else f"{before.unit} -> {after.unit}"
    return _entry(before.what, before.value, after.value if after else None, unit)


def _addition(after: _Said) -> Mapping[str, object]:
    return _entry(after.what, None, "drawn" if after.what.startswith("Outline") else after.value, after.unit)


def _entry(what: str, before: object, after: object, unit: str) -> Mapping[str, object]:
    return {"what": what, "before": before, "after": after, "unit": unit}


def _all(document: Dataset, known: Mapping[str, str]) -> Iterator[tuple[Key, _Said]]:
    """Yield all that a document says. known: tracking identifier -> tracking UID, for who gives new UIDs."""
    count: Counter[tuple[str, str]] = Counter()
    ours = not known
    for group in sr_tree.groups(document):
        uid, identifier = _tracking(group)
        tracking = uid if ours or uid in known.values() else known.get(identifier, uid)
        label = identifier if ours or identifier in known else ""  # a label of theirs is free text
        for concept, said in _of(group, label):
            yield (tracking, concept, count[tracking, concept]), said
            count[tracking, concept] += 1


def _of(group: Dataset, label: str) -> Iterator[tuple[str, _Said]]:
    of = f" of {label}" if label else ""
    for item in sr_tree.children(group):
        concept = sr_tree.concept(item)
        if sr_tree.is_number(item) and concept not in _SCORES:
            yield concept, _Said(text_of(sr_tree.name(item)) + of, sr_tree.number(item), sr_tree.unit(item))
        elif sr_tree.code(item) in _PRESENCE:
            yield concept, _Said(text_of(sr_tree.name(item)), str(_PRESENCE[sr_tree.code(item)]))
        elif item.get("ValueType") == "SCOORD":
            yield "SCOORD", _Said(f"Outline{of}", _place(item))


def _place(item: Dataset) -> str:
    """Return image and points of a SCOORD as one text, points to a tenth of a pixel."""
    image = next((each.ReferencedSOPSequence[0] for each in sr_tree.children(item)), Dataset())
    points = " ".join(f"{float(value):.1f}" for value in item.GraphicData)
    return f"{image.get('ReferencedSOPInstanceUID')} {sr_tree.frame_number(image)} {item.GraphicType} {points}"


def _tracking(group: Dataset) -> tuple[str, str]:
    """Return tracking UID and tracking identifier of a measurement group, empty where it has none."""
    items = {sr_tree.concept(item): item for item in sr_tree.children(group)}
    uid = items[_TRACKING_UID].get("UID", "") if _TRACKING_UID in items else ""
    identifier = items[_TRACKING_ID].get("TextValue", "") if _TRACKING_ID in items else ""
    return str(uid), str(identifier)


def _identifiers(document: Dataset) -> Mapping[str, str]:
    """Return tracking UID -> identifier, for identifiers that name one thing only."""
    pairs = {uid: identifier for uid, identifier in map(_tracking, sr_tree.groups(document)) if uid and identifier}
    times = Counter(pairs.values())
    return {uid: identifier for uid, identifier in pairs.items() if times[identifier] == 1}


def _tracked(document: Dataset) -> frozenset[str]:
    return frozenset(uid for uid, _ in map(_tracking, sr_tree.groups(document)) if uid)
