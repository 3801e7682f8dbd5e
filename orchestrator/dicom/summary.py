"""What an SR says, read back from the file: the ledger and the pages show this, so they show what was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydicom import Dataset, dcmread

from orchestrator.dicom import concepts as own
from orchestrator.domain import concepts
from orchestrator.domain.records import ObjectKind, ObjectRecord
from orchestrator.domain.result import Urgency

_PRESENCE = {code.value: presence for presence, code in own.PRESENCE.items()}
_URGENCY = {code.value: urgency for urgency, code in own.URGENCY.items()}
_GROUP, _TRACKING_ID, _FINDING_SITE = "125007", "112039", "363698007"
_LATERALITY = own.LATERALITY.value
_NUMBERS = {"score": own.SCORE.value, "certainty_percent": own.CERTAINTY.value}
_OF_A_FINDING = frozenset({own.SCORE.value, own.REGION_SCORE.value, own.CERTAINTY.value})
_OF_AN_OUTLINE = frozenset({concepts.AREA.value})


@dataclass(frozen=True, slots=True)
class Summary:
    """Findings and measurements of one job, as plain values.

    findings: name, value (present, absent, undetermined) and, where stated, score, certainty_percent,
        site, laterality, urgency, segment.
    measurements: name, value, unit (UCUM) and, where it was measured on one, segment.
    urgency: the highest of the findings that are not absent.
    """

    findings: tuple[Mapping[str, object], ...] = ()
    measurements: tuple[Mapping[str, object], ...] = ()

    @property
    def urgency(self) -> Urgency | None:
        """The highest urgency of a finding that is not absent, None where none is stated."""
        stated = [
            Urgency(str(each["urgency"])) for each in self.findings if "urgency" in each and each["value"] != "absent"
        ]
        return min(stated, key=list(Urgency).index, default=None)


def summarize(objects: Sequence[ObjectRecord]) -> Summary:
    """Return what the SRs among these objects say."""
    documents = [dcmread(record.path) for record in objects if record.kind is ObjectKind.SR]
    return Summary(
        tuple(finding for document in documents for finding in _findings(document)),
        tuple(measurement for document in documents for measurement in _measurements(document)),
    )


def _findings(document: Dataset) -> Iterator[Mapping[str, object]]:
    for group in _containers(document):
        children = _children(group)
        for position, item in enumerate(children):
            if item.ValueType == "CODE" and _code(item) in _PRESENCE:
                yield _finding(item, group, children[position + 1 :])


def _finding(item: Dataset, group: Dataset, following: Sequence[Dataset]) -> Mapping[str, object]:
    """Return one finding; in a group, site, scores and segment stand beside it, in a statement below it."""
    said: dict[str, object] = {"name": _name(item), "value": str(_PRESENCE[_code(item)])}
    around = _children(item) or _children(group)
    numbers = {_concept(each): float(each.MeasuredValueSequence[0].NumericValue) for each in around if _is_number(each)}
    said |= {key: numbers[name] for key, name in _NUMBERS.items() if name in numbers}
    for each in around:
        said |= _place(each)
    for each in (*following[:1], *_children(item)):
        if _concept(each) == own.ACTIONABLE.value:
            said["urgency"] = str(_URGENCY[_code(each)])
    return {**said, **_segment(group)}


def _place(item: Dataset) -> Mapping[str, object]:
    """Return the site that an item names and the side that goes with it."""
    if _concept(item) == _LATERALITY:
        return {"laterality": _meaning(item)}
    if _concept(item) != _FINDING_SITE:
        return {}
    named: dict[str, object] = {"site": _meaning(item)}
    for side in _children(item):
        named |= _place(side)
    return named


def _measurements(document: Dataset) -> Iterator[Mapping[str, object]]:
    """Yield what was measured; scores belong to their findings, the area of a drawn outline to the drawing."""
    for group in _containers(document):
        drawn = any(item.ValueType == "SCOORD" for item in _children(group))
        left_out = _OF_A_FINDING | _OF_AN_OUTLINE if drawn else _OF_A_FINDING
        for item in _children(group):
            if _is_number(item) and _concept(item) not in left_out:
                measured = item.MeasuredValueSequence[0]
                unit = measured.MeasurementUnitsCodeSequence[0]
                said = {"name": _name(item), "value": float(measured.NumericValue), "unit": _value_of(unit)}
                yield {**said, **_segment(group)}


def _containers(document: Dataset) -> Iterator[Dataset]:
    """Yield the measurement groups, or the root itself where a statement has none."""
    groups = [
        group
        for part in _children(document)
        for group in _children(part)
        if group.ValueType == "CONTAINER" and _concept(group) == _GROUP
    ]
    yield from groups or [document]


def _segment(group: Dataset) -> Mapping[str, object]:
    """Return the label of the segment that a group is about: its tracking identifier, where it refers to a segment."""
    children = _children(group)
    references = [each for item in children for each in item.get("ReferencedSOPSequence", [])]
    if not any("ReferencedSegmentNumber" in each for each in references):
        return {}
    return {"segment": next(each.TextValue for each in children if _concept(each) == _TRACKING_ID)}


def _children(item: Dataset) -> Sequence[Dataset]:
    children: Sequence[Dataset] = item.get("ContentSequence", [])
    return children


def _concept(item: Dataset) -> str:
    return _value_of(item.ConceptNameCodeSequence[0]) if "ConceptNameCodeSequence" in item else ""


def _name(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeMeaning)


def _code(item: Dataset) -> str:
    return _value_of(item.ConceptCodeSequence[0]) if "ConceptCodeSequence" in item else ""


def _meaning(item: Dataset) -> str:
    return str(item.ConceptCodeSequence[0].CodeMeaning)


def _value_of(code: Dataset) -> str:
    return str(code.get("CodeValue") or code.get("LongCodeValue") or "")


def _is_number(item: Dataset) -> bool:
    return item.get("ValueType") == "NUM" and bool(item.get("MeasuredValueSequence"))
