"""Reads items of the content tree of an SR (PS3.3 C.17.3), without interpreting them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydicom import Dataset

_MEASUREMENT_GROUP = "125007"


def children(item: Dataset) -> Sequence[Dataset]:
    """Return the content items directly below an item; empty where there are none."""
    items: Sequence[Dataset] = item.get("ContentSequence", [])
    return items


def groups(document: Dataset) -> Iterator[Dataset]:
    """Yield the measurement groups (125007, DCM), or the document itself if it has none."""
    items = [
        group
        for part in children(document)
        for group in children(part)
        if group.ValueType == "CONTAINER" and concept(group) == _MEASUREMENT_GROUP
    ]
    yield from items or [document]


def concept(item: Dataset) -> str:
    """Return the code value of an item's concept name; empty where absent."""
    return value_of(item.ConceptNameCodeSequence[0]) if "ConceptNameCodeSequence" in item else ""


def name(item: Dataset) -> str:
    """Return the meaning of an item's concept name."""
    return str(item.ConceptNameCodeSequence[0].CodeMeaning)


def code(item: Dataset) -> str:
    """Return the code value of a CODE item; empty for other items."""
    return value_of(item.ConceptCodeSequence[0]) if "ConceptCodeSequence" in item else ""


def meaning(item: Dataset) -> str:
    """Return the code meaning of a CODE item."""
    return str(item.ConceptCodeSequence[0].CodeMeaning)


def is_number(item: Dataset) -> bool:
    """Return whether an item is a NUM with a value."""
    return item.get("ValueType") == "NUM" and bool(item.get("MeasuredValueSequence"))


def number(item: Dataset) -> float:
    """Return the value of a NUM."""
    return float(item.MeasuredValueSequence[0].NumericValue)


def images(item: Dataset) -> Iterator[Dataset]:
    """Yield the references (PS3.3 10.8) of the IMAGE items directly below an item."""
    for child in children(item):
        if child.ValueType == "IMAGE":
            yield child.ReferencedSOPSequence[0]


def frame_number(reference: Dataset) -> int:
    """Return the first frame number of a reference; 1 for a single-frame image."""
    number = reference.get("ReferencedFrameNumber", 1)
    return int(number if isinstance(number, int) else number[0])


def unit(item: Dataset) -> str:
    """Return the UCUM code of a NUM's unit."""
    return value_of(item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0])


def value_of(code: Dataset) -> str:
    """Return the value of a code, short or long (PS3.3 section 8)."""
    return str(code.get("CodeValue") or code.get("LongCodeValue") or "")
