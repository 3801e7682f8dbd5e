"""How a result was computed, as its SR says it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from orchestrator.dicom.objects import sr_tree
from orchestrator.domain.errors import UnreadableFile
from orchestrator.domain.records import ObjectKind, ObjectRecord

_ALGORITHM_PARAMETERS = "111002"


def parameters(objects: Sequence[ObjectRecord]) -> Mapping[str, str]:
    """Return the algorithm parameters (TID 4019) that the SRs among these state: weights, device, notes of the run.

    Raises UnreadableFile; OSError where a file is gone.
    """
    found: dict[str, str] = {}
    for record in objects:
        if record.kind is ObjectKind.SR:
            for text in _texts(_read(record)):
                name, _, value = text.partition(" = ")
                found.setdefault(name, value)
    return found


def _read(record: ObjectRecord) -> Dataset:
    try:
        return dcmread(record.path)
    except InvalidDicomError:
        raise UnreadableFile(f"the file of SR {record.sop_uid} is broken") from None


def _texts(item: Dataset) -> Iterator[str]:
    """Yield each parameter at or below a content item."""
    if sr_tree.concept(item) == _ALGORITHM_PARAMETERS:
        yield str(item.TextValue)
    for below in sr_tree.children(item):
        yield from _texts(below)
