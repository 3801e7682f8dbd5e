"""Reading the content tree of an SR (PS3.3 C.17.3), without a word about what it means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydicom import Dataset

_MEASUREMENT_GROUP = "125007"


def children(item: Dataset) -> Sequence[Dataset]:
    """Return the content items below an item, none where it has none."""
    below: Sequence[Dataset] = item.get("ContentSequence", [])
    return below


def groups(document: Dataset) -> Iterator[Dataset]:
    """Yield the measurement groups (125007, DCM), or the document itself where it has none."""
    found = [
        group
        for part in children(document)
        for group in children(part)
        if group.ValueType == "CONTAINER" and concept(group) == _MEASUREMENT_GROUP
    ]
    yield from found or [document]


def concept(item: Dataset) -> str:
    """Return the code value of an item's concept name, empty where it has no name."""
    return value_of(item.ConceptNameCodeSequence[0]) if "ConceptNameCodeSequence" in item else ""


def name(item: Dataset) -> str:
    """Return the meaning of an item's concept name."""
    return str(item.ConceptNameCodeSequence[0].CodeMeaning)


def code(item: Dataset) -> str:
    """Return the code value that a CODE item states, empty for another item."""
    return value_of(item.ConceptCodeSequence[0]) if "ConceptCodeSequence" in item else ""


def meaning(item: Dataset) -> str:
    """Return the meaning of the code that a CODE item states."""
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
    """Return the first frame that a reference names; 1 where the image is a file of its own."""
    number = reference.get("ReferencedFrameNumber", 1)
    return int(number if isinstance(number, int) else number[0])


def unit(item: Dataset) -> str:
    """Return the UCUM code of a NUM's unit."""
    return value_of(item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0])


def value_of(coded: Dataset) -> str:
    """Return the value of a code, short or long (PS3.3 section 8)."""
    return str(coded.get("CodeValue") or coded.get("LongCodeValue") or "")
