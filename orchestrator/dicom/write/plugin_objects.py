"""Checks and stores the objects that host plugins add to a result, under the same rules as the host's own."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

from pydicom import Dataset

from orchestrator.dicom.objects.class_rules import REPORTS, SEGMENTATIONS, sop_class
from orchestrator.dicom.objects.rules import check_object
from orchestrator.dicom.objects.storage import store, with_syntax
from orchestrator.dicom.objects.uid import derive_uid
from orchestrator.dicom.objects.write_options import WriteOptions
from orchestrator.dicom.read.grid import Grid
from orchestrator.dicom.result.source_grid import SourceGrid
from orchestrator.dicom.write.readdress import replace_uids
from orchestrator.domain.errors import ConformanceError
from orchestrator.domain.records import ObjectKind, ObjectRecord

_REQUIRED = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "Modality")


def store_plugin_objects(
    datasets: Sequence[Dataset], *, grid: Grid, job_key: str, folder: Path, options: WriteOptions
) -> tuple[ObjectRecord, ...]:
    """Check a plugin's objects against patient and study of the source and store them; return their records.

    The plugin derives the UIDs, so that a retry gives the same ones. For a form other than the default, new UIDs are
    derived from them, because a UID must not have two contents. Objects other than SEG and SR go to every destination.
    Raises ConformanceError.
    """
    if not datasets:
        return ()
    modules = SourceGrid.read(1, grid, None).modules
    for dataset in datasets:
        if not isinstance(dataset, Dataset) or any(keyword not in dataset for keyword in _REQUIRED):
            raise ConformanceError(f"an object of a plugin is not a pydicom Dataset with {', '.join(_REQUIRED)}")
        check_object(dataset, modules)
    objects = _with_form(datasets, options) if options.form else datasets
    return tuple(store(dataset, job_key, folder, options.form, _kind(dataset)) for dataset in objects)


def _kind(dataset: Dataset) -> ObjectKind:
    if sop_class(dataset) in REPORTS:
        return ObjectKind.SR
    return ObjectKind.SEG if sop_class(dataset) in SEGMENTATIONS else ObjectKind.OTHER


def _with_form(datasets: Sequence[Dataset], options: WriteOptions) -> list[Dataset]:
    """Return copies of the objects with new UIDs; uncompressed ones get the transfer syntax of the form."""
    uids = {
        own: derive_uid("form", options.form, own)
        for dataset in datasets
        for own in (dataset.SOPInstanceUID, dataset.SeriesInstanceUID)
    }
    copies = [with_syntax(deepcopy(dataset), options.syntax.uid) for dataset in datasets]
    for copy in copies:
        replace_uids(copy, uids)
        copy.file_meta.MediaStorageSOPInstanceUID = copy.SOPInstanceUID
    return copies
