"""Reads the algorithm parameters of a result from its SR."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from orchestrator.dicom.objects import sr_tree
from orchestrator.domain.errors import UnreadableFile
from orchestrator.domain.records import ObjectKind, ObjectRecord

_ALGORITHM_PARAMETERS = "111002"


def parameters(objects: Sequence[ObjectRecord]) -> Mapping[str, str]:
    """Return the algorithm parameters (TID 4019) in the SRs of these objects: weights, device, notes of the run.

    Raises UnreadableFile where a file is broken; OSError where it is gone.
    """
    values: dict[str, str] = {}
    for record in objects:
        if record.kind is ObjectKind.SR:
            for text in _texts(_read(record)):
                name, _, value = text.partition(" = ")
                values.setdefault(name, value)
    return values


def _read(record: ObjectRecord) -> Dataset:
    try:
        return dcmread(record.path)
    except InvalidDicomError:
        raise UnreadableFile(f"the file of SR {record.sop_uid} is not valid DICOM") from None


def _texts(item: Dataset) -> Iterator[str]:
    """Yield each parameter of a content item and of all items below it."""
    if sr_tree.concept(item) == _ALGORITHM_PARAMETERS:
        yield str(item.TextValue)
    for below in sr_tree.children(item):
        yield from _texts(below)
