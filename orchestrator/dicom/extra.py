"""Objects that host plugins add to a result: kept beside ours, under the same rules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydicom import Dataset

from orchestrator.dicom.conformance import check_object
from orchestrator.dicom.grid import Grid
from orchestrator.dicom.source import Source
from orchestrator.dicom.storage import store
from orchestrator.domain.errors import ConformanceError
from orchestrator.domain.records import ObjectRecord


def keep_extra(datasets: Sequence[Dataset], *, grid: Grid, job_key: str, folder: Path) -> tuple[ObjectRecord, ...]:
    """Return the records of a plugin's objects, each checked against patient and study of the source.

    The plugin derives the UIDs, so that a retry gives the same. Raises ConformanceError.
    """
    if not datasets:
        return ()
    modules = Source.read(1, grid, None).modules
    for dataset in datasets:
        if not isinstance(dataset, Dataset) or "SOPInstanceUID" not in dataset or "Modality" not in dataset:
            raise ConformanceError("a plugin's extra object is no Dataset with SOP Instance UID and Modality")
        check_object(dataset, modules)
    return tuple(store(dataset, job_key, folder) for dataset in datasets)
