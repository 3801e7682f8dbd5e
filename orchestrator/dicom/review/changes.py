"""Compares a radiologist's SR with the AI's SR: changed numbers, presence of findings, outlines."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset

from orchestrator.dicom.headers.header import read_whole
from orchestrator.dicom.objects import concepts as own
from orchestrator.dicom.objects import sr_tree
from orchestrator.dicom.objects.provenance import clean_text
from orchestrator.dicom.review.statement import as_unreadable

_TRACKING_ID, _TRACKING_UID = "112039", "112040"
_PRESENCE = {code.value: presence for presence, code in own.PRESENCE.items()}
_SCORES = frozenset({own.SCORE.value, own.CERTAINTY.value, own.REGION_SCORE.value, own.IMAGE_SCORE.value})
"""Concepts that only a model reports; a person need not repeat them."""
_ROUNDING = 1e-3

Key = tuple[str, str, int]
"""Tracking UID (empty where the document has none), code of the concept, index among equal ones from 0."""
Changes = tuple[Mapping[str, object], ...]


@dataclass(frozen=True, slots=True)
class _Item:
    """One statement of a document: a number with its unit (UCUM), a presence, or an outline as text."""

    what: str
    value: float | str
    unit: str = ""

    def agrees(self, other: _Item) -> bool:
        """Return whether both are equal; numbers may differ by a thousandth (rounding)."""
        if isinstance(self.value, float) and isinstance(other.value, float):
            return self.unit == other.unit and math.isclose(self.value, other.value, rel_tol=_ROUNDING)
        return self.value == other.value


def corrections(ours: Path, edited: Path, *, whole: bool) -> Changes | None:
    """Return what an edited SR file changes in ours, None where it is about none of our findings.

    whole: the edited SR replaces ours. Raises UnreadableFile where either file is missing or broken.
    """
    with as_unreadable("SR"):
        our_document, edited_document = read_whole(ours), read_whole(edited)
        if not whole and not repeats(our_document, edited_document):
            return None
        return changes(our_document, edited_document, whole=whole)


def repeats(ours: Dataset, edited: Dataset) -> bool:
    """Return whether both documents have a finding with the same tracking UID."""
    return bool(_tracking_uids(ours) & _tracking_uids(edited))


def changes(ours: Dataset, edited: Dataset, *, whole: bool) -> Changes:
    """Return the differences between our SR and an edited one as a review stores them; empty where both agree.

    whole: the edited SR replaces ours, so missing and additional items count too; else only findings of both.
    """
    before = dict(_items(ours, {}))
    after = dict(_items(edited, {identifier: uid for uid, identifier in _identifiers(ours).items()}))
    common = _tracking_uids(ours) & _tracking_uids(edited)
    differences = [_change(before[key], after.get(key)) for key in before if whole or key[0] in common]
    additions = [_addition(after[key]) for key in after if whole and key not in before]
    return tuple(change for change in (*differences, *additions) if change)


def _change(before: _Item, after: _Item | None) -> Mapping[str, object]:
    """Return the change of one of our items, empty where the edited SR agrees."""
    if after is not None and before.agrees(after):
        return {}
    if before.what.startswith("Outline"):  # a list of coordinates is of no use to a person
        return _entry(before.what, "as the model drew it", "drawn anew" if after else None, "")
    unit = before.unit if after is None or after.unit == before.unit else f"{before.unit} -> {after.unit}"
    return _entry(before.what, before.value, after.value if after else None, unit)


def _addition(after: _Item) -> Mapping[str, object]:
    return _entry(after.what, None, "drawn" if after.what.startswith("Outline") else after.value, after.unit)


def _entry(what: str, before: object, after: object, unit: str) -> Mapping[str, object]:
    return {"what": what, "before": before, "after": after, "unit": unit}


def _items(document: Dataset, our_uids: Mapping[str, str]) -> Iterator[tuple[Key, _Item]]:
    """Yield the items of a document.

    our_uids: our tracking identifier -> our tracking UID, for an editor that assigns new UIDs; empty for our own SR.
    """
    count: Counter[tuple[str, str]] = Counter()
    is_ours = not our_uids
    for group in sr_tree.groups(document):
        uid, identifier = _tracking(group)
        tracking = uid if is_ours or uid in our_uids.values() else our_uids.get(identifier, uid)
        label = identifier if is_ours or identifier in our_uids else ""  # another label is free text
        for concept, item in _items_of_group(group, label):
            yield (tracking, concept, count[tracking, concept]), item
            count[tracking, concept] += 1


def _items_of_group(group: Dataset, label: str) -> Iterator[tuple[str, _Item]]:
    suffix = f" of {label}" if label else ""
    for item in sr_tree.children(group):
        concept = sr_tree.concept(item)
        if sr_tree.is_number(item) and concept not in _SCORES:
            yield concept, _Item(clean_text(sr_tree.name(item)) + suffix, sr_tree.number(item), sr_tree.unit(item))
        elif sr_tree.code(item) in _PRESENCE:
            yield concept, _Item(clean_text(sr_tree.name(item)), str(_PRESENCE[sr_tree.code(item)]))
        elif item.get("ValueType") == "SCOORD":
            yield "SCOORD", _Item(f"Outline{suffix}", _outline(item))


def _outline(item: Dataset) -> str:
    """Return image and points of an SCOORD item as one text, points rounded to a tenth of a pixel."""
    image = next((each.ReferencedSOPSequence[0] for each in sr_tree.children(item)), Dataset())
    points = " ".join(f"{float(value):.1f}" for value in item.GraphicData)
    return f"{image.get('ReferencedSOPInstanceUID')} {sr_tree.frame_number(image)} {item.GraphicType} {points}"


def _tracking(group: Dataset) -> tuple[str, str]:
    """Return tracking UID and tracking identifier of a measurement group, each empty where absent."""
    items = {sr_tree.concept(item): item for item in sr_tree.children(group)}
    uid = items[_TRACKING_UID].get("UID", "") if _TRACKING_UID in items else ""
    identifier = items[_TRACKING_ID].get("TextValue", "") if _TRACKING_ID in items else ""
    return str(uid), str(identifier)


def _identifiers(document: Dataset) -> Mapping[str, str]:
    """Return tracking UID -> tracking identifier, without identifiers that occur more than once."""
    pairs = {uid: identifier for uid, identifier in map(_tracking, sr_tree.groups(document)) if uid and identifier}
    times = Counter(pairs.values())
    return {uid: identifier for uid, identifier in pairs.items() if times[identifier] == 1}


def _tracking_uids(document: Dataset) -> frozenset[str]:
    return frozenset(uid for uid, _ in map(_tracking, sr_tree.groups(document)) if uid)
