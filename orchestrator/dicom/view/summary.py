"""What an SR says, read back from the file: the ledger and the pages show this, so they show what was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydicom import Dataset, dcmread

from orchestrator.dicom.objects import concepts as own
from orchestrator.dicom.objects import sr_tree
from orchestrator.domain import concepts
from orchestrator.domain.correction import urgency_of
from orchestrator.domain.records import ObjectKind, ObjectRecord
from orchestrator.domain.result import Urgency

_PRESENCE = {code.value: presence for presence, code in own.PRESENCE.items()}
_URGENCY = {code.value: urgency for urgency, code in own.URGENCY.items()}
_TRACKING_ID, _TRACKING_UID = "112039", "112040"
_FINDING_SITE, _LATERALITY = "363698007", own.LATERALITY.value
_NUMBERS = {own.SCORE.value: "score", own.CERTAINTY.value: "certainty_percent"}
_OF_A_FINDING = frozenset({*_NUMBERS, own.REGION_SCORE.value, own.IMAGE_SCORE.value})
_OF_AN_OUTLINE = frozenset({concepts.AREA.value})


@dataclass(frozen=True, slots=True)
class Summary:
    """Findings and measurements of one job, as plain values.

    findings: name, value (present, absent, undetermined) and, where stated, score, certainty_percent,
        site, laterality, urgency, segment, images (each sop_uid, frame and score, the best first).
    measurements: name, value, unit (UCUM) and, where it was measured on one, segment.
    """

    findings: tuple[Mapping[str, object], ...] = ()
    measurements: tuple[Mapping[str, object], ...] = ()

    @property
    def urgency(self) -> Urgency | None:
        """The highest urgency of a finding that is not absent, None where none is stated."""
        return urgency_of(self.findings)


def summarize(objects: Sequence[ObjectRecord]) -> Summary:
    """Return what the SRs among these objects say."""
    return summary_of([dcmread(record.path) for record in objects if record.kind is ObjectKind.SR])


def summary_of(documents: Sequence[Dataset]) -> Summary:
    """Return what these SRs say."""
    return Summary(
        tuple(finding for document in documents for finding in _findings(document)),
        tuple(measurement for document in documents for measurement in _measurements(document)),
    )


def tracking(documents: Sequence[Dataset]) -> Mapping[str, str]:
    """Return the tracking UID behind each entry of a Summary of these SRs, for those that have one.

    Entries are named by their place in it: ``findings/0``, ``measurements/2``.
    """
    found = [group for document in documents for group, _, _ in _finding_items(document)]
    measured = [group for document in documents for group, _ in _measured_items(document)]
    named = {f"findings/{place}": group for place, group in enumerate(found)}
    named |= {f"measurements/{place}": group for place, group in enumerate(measured)}
    uids = {entry: _tracking_uid(group) for entry, group in named.items()}
    return {entry: uid for entry, uid in uids.items() if uid}


def _findings(document: Dataset) -> Iterator[Mapping[str, object]]:
    for group, position, item in _finding_items(document):
        yield _finding(item, group, sr_tree.children(group)[position + 1 : position + 2])


def _finding_items(document: Dataset) -> Iterator[tuple[Dataset, int, Dataset]]:
    """Yield each finding with its group and its position there."""
    for group in sr_tree.groups(document):
        for position, item in enumerate(sr_tree.children(group)):
            if sr_tree.code(item) in _PRESENCE:
                yield group, position, item


def _tracking_uid(group: Dataset) -> str:
    items = sr_tree.children(group)
    return next((str(item.UID) for item in items if sr_tree.concept(item) == _TRACKING_UID), "")


def _finding(item: Dataset, group: Dataset, following: Sequence[Dataset]) -> Mapping[str, object]:
    """Return one finding; in a group, site, scores and urgency stand beside it, in a statement below it."""
    said: dict[str, object] = {"name": sr_tree.name(item), "value": str(_PRESENCE[sr_tree.code(item)])}
    beside = sr_tree.children(item) or sr_tree.children(group)
    for each in beside:
        said |= _place(each)
        if sr_tree.is_number(each) and sr_tree.concept(each) in _NUMBERS:
            said[_NUMBERS[sr_tree.concept(each)]] = sr_tree.number(each)
    for each in (*following, *sr_tree.children(item)):
        if sr_tree.concept(each) == own.ACTIONABLE.value:
            said["urgency"] = str(_URGENCY[sr_tree.code(each)])
    if images := [image for each in beside for image in _images(each)]:
        said["images"] = images
    return {**said, **_segment(group)}


def _images(item: Dataset) -> Iterator[Mapping[str, object]]:
    """Yield the image that a score is of, nothing for another item."""
    if sr_tree.is_number(item) and sr_tree.concept(item) == own.IMAGE_SCORE.value:
        for reference in sr_tree.images(item):
            uid, frame = str(reference.ReferencedSOPInstanceUID), sr_tree.frame_number(reference)
            yield {"sop_uid": uid, "frame": frame, "score": sr_tree.number(item)}


def _place(item: Dataset) -> dict[str, object]:
    """Return the site that an item names and the side that goes with it."""
    if sr_tree.concept(item) == _LATERALITY:
        return {"laterality": sr_tree.meaning(item)}
    if sr_tree.concept(item) != _FINDING_SITE:
        return {}
    named: dict[str, object] = {"site": sr_tree.meaning(item)}
    for side in sr_tree.children(item):
        named |= _place(side)
    return named


def _measurements(document: Dataset) -> Iterator[Mapping[str, object]]:
    for group, item in _measured_items(document):
        said = {"name": sr_tree.name(item), "value": sr_tree.number(item), "unit": sr_tree.unit(item)}
        yield {**said, **_segment(group)}


def _measured_items(document: Dataset) -> Iterator[tuple[Dataset, Dataset]]:
    """Yield what was measured; scores belong to their findings, the area of a drawn outline to the drawing."""
    for group in sr_tree.groups(document):
        items = sr_tree.children(group)
        drawn = any(item.ValueType == "SCOORD" for item in items)
        omission_notes = _OF_A_FINDING | _OF_AN_OUTLINE if drawn else _OF_A_FINDING
        for item in items:
            if sr_tree.is_number(item) and sr_tree.concept(item) not in omission_notes:
                yield group, item


def _segment(group: Dataset) -> Mapping[str, object]:
    """Return the label of the segment that a group is about: its tracking identifier, where it refers to a segment."""
    items = sr_tree.children(group)
    references = [each for item in items for each in item.get("ReferencedSOPSequence", [])]
    if not any("ReferencedSegmentNumber" in each for each in references):
        return {}
    return {"segment": next(each.TextValue for each in items if sr_tree.concept(each) == _TRACKING_ID)}
