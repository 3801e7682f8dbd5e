"""Objects that host plugins add to a result: kept beside ours, under the same rules."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

from pydicom import Dataset

from orchestrator.dicom.objects.rules import check_object
from orchestrator.dicom.objects.storage import in_syntax, store
from orchestrator.dicom.objects.uid import derived_uid
from orchestrator.dicom.objects.write_options import WriteOptions
from orchestrator.dicom.read.grid import Grid
from orchestrator.dicom.result.source import Source
from orchestrator.dicom.write.readdress import replace_uids
from orchestrator.domain.errors import ConformanceError
from orchestrator.domain.records import ObjectKind, ObjectRecord


def keep_extra(
    datasets: Sequence[Dataset], *, grid: Grid, job_key: str, folder: Path, options: WriteOptions
) -> tuple[ObjectRecord, ...]:
    """Return the records of a plugin's objects, each checked against patient and study of the source.

    The plugin derives the UIDs, so that a retry gives the same; in another form than the usual they follow
    from its own, since one UID never carries two contents. Whatever it is but a segmentation or a report is
    of no kind that a destination could leave out. Raises ConformanceError.
    """
    if not datasets:
        return ()
    modules = Source.read(1, grid, None).modules
    for dataset in datasets:
        if not isinstance(dataset, Dataset) or "SOPInstanceUID" not in dataset or "Modality" not in dataset:
            raise ConformanceError("a plugin's extra object is no Dataset with SOP Instance UID and Modality")
        check_object(dataset, modules)
    given = _in_form(datasets, options) if options.form else datasets
    return tuple(store(dataset, job_key, folder, options.form, _kind(dataset)) for dataset in given)


def _kind(dataset: Dataset) -> ObjectKind:
    return {"SEG": ObjectKind.SEG, "SR": ObjectKind.SR}.get(dataset.Modality, ObjectKind.OTHER)


def _in_form(datasets: Sequence[Dataset], options: WriteOptions) -> list[Dataset]:
    """Return copies of the objects with UIDs of their own, uncompressed ones in the form's transfer syntax."""
    uids = {
        own: derived_uid("form", options.form, own)
        for dataset in datasets
        for own in (dataset.SOPInstanceUID, dataset.SeriesInstanceUID)
    }
    copies = [in_syntax(deepcopy(dataset), options.syntax.uid) for dataset in datasets]
    for copy in copies:
        replace_uids(copy, uids)
        copy.file_meta.MediaStorageSOPInstanceUID = copy.SOPInstanceUID
    return copies
