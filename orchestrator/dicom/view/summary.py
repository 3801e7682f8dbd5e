"""Reads findings and measurements from SR files, for the ledger and the pages: they show what was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydicom import Dataset, dcmread

from orchestrator.dicom.objects import concepts as own
from orchestrator.dicom.objects import sr_tree
from orchestrator.domain import concepts
from orchestrator.domain.records import ObjectKind, ObjectRecord
from orchestrator.domain.result import Urgency
from orchestrator.domain.urgency import urgency_of

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

    findings: name, value (present, absent, undetermined) and, if given, score, certainty_percent,
        site, laterality, urgency, segment, images (each sop_uid, frame and score, the best first).
    measurements: name, value, unit (UCUM) and, for a measurement of a segment, segment.
    """

    findings: tuple[Mapping[str, object], ...] = ()
    measurements: tuple[Mapping[str, object], ...] = ()

    @property
    def urgency(self) -> Urgency | None:
        """The highest urgency of the findings that are not absent, None without urgency."""
        return urgency_of(self.findings)


def summarize(objects: Sequence[ObjectRecord]) -> Summary:
    """Return the summary of the SRs among these objects."""
    return summary_of([dcmread(record.path) for record in objects if record.kind is ObjectKind.SR])


def summary_of(documents: Sequence[Dataset]) -> Summary:
    """Return the summary of these SRs."""
    return Summary(
        tuple(finding for document in documents for finding in _findings(document)),
        tuple(measurement for document in documents for measurement in _measurements(document)),
    )


def tracking(documents: Sequence[Dataset]) -> Mapping[str, str]:
    """Return entry -> tracking UID for the entries of a Summary of these SRs that have one.

    An entry is named by its position: ``findings/0``, ``measurements/2``.
    """
    of_findings = [group for document in documents for group, _, _ in _finding_items(document)]
    of_measurements = [group for document in documents for group, _ in _measurement_items(document)]
    groups = {f"findings/{position}": group for position, group in enumerate(of_findings)}
    groups |= {f"measurements/{position}": group for position, group in enumerate(of_measurements)}
    uids = {entry: _tracking_uid(group) for entry, group in groups.items()}
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
    """Return one finding; site, scores and urgency are beside it in a group, or below it in a text report."""
    values: dict[str, object] = {"name": sr_tree.name(item), "value": str(_PRESENCE[sr_tree.code(item)])}
    beside = sr_tree.children(item) or sr_tree.children(group)
    for each in beside:
        values |= _site(each)
        if sr_tree.is_number(each) and sr_tree.concept(each) in _NUMBERS:
            values[_NUMBERS[sr_tree.concept(each)]] = sr_tree.number(each)
    for each in (*following, *sr_tree.children(item)):
        if sr_tree.concept(each) == own.ACTIONABLE.value:
            values["urgency"] = str(_URGENCY[sr_tree.code(each)])
    if images := [image for each in beside for image in _images(each)]:
        values["images"] = images
    return {**values, **_segment(group)}


def _images(item: Dataset) -> Iterator[Mapping[str, object]]:
    """Yield the image of an image score; nothing for other items."""
    if sr_tree.is_number(item) and sr_tree.concept(item) == own.IMAGE_SCORE.value:
        for reference in sr_tree.images(item):
            uid, frame = str(reference.ReferencedSOPInstanceUID), sr_tree.frame_number(reference)
            yield {"sop_uid": uid, "frame": frame, "score": sr_tree.number(item)}


def _site(item: Dataset) -> dict[str, object]:
    """Return site and laterality of an item; empty for other items."""
    if sr_tree.concept(item) == _LATERALITY:
        return {"laterality": sr_tree.meaning(item)}
    if sr_tree.concept(item) != _FINDING_SITE:
        return {}
    site: dict[str, object] = {"site": sr_tree.meaning(item)}
    for child in sr_tree.children(item):
        site |= _site(child)
    return site


def _measurements(document: Dataset) -> Iterator[Mapping[str, object]]:
    for group, item in _measurement_items(document):
        values = {"name": sr_tree.name(item), "value": sr_tree.number(item), "unit": sr_tree.unit(item)}
        yield {**values, **_segment(group)}


def _measurement_items(document: Dataset) -> Iterator[tuple[Dataset, Dataset]]:
    """Yield each measurement with its group, without scores of findings and areas of outlines."""
    for group in sr_tree.groups(document):
        items = sr_tree.children(group)
        has_outline = any(item.ValueType == "SCOORD" for item in items)
        excluded_concepts = _OF_A_FINDING | _OF_AN_OUTLINE if has_outline else _OF_A_FINDING
        for item in items:
            if sr_tree.is_number(item) and sr_tree.concept(item) not in excluded_concepts:
                yield group, item


def _segment(group: Dataset) -> Mapping[str, object]:
    """Return the label of the segment that a group refers to: its tracking identifier; empty without a segment."""
    items = sr_tree.children(group)
    references = [each for item in items for each in item.get("ReferencedSOPSequence", [])]
    if not any("ReferencedSegmentNumber" in each for each in references):
        return {}
    return {"segment": next(each.TextValue for each in items if sr_tree.concept(each) == _TRACKING_ID)}
