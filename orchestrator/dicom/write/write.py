"""Writes the DICOM objects of a result to a folder: SEG, maps, SR and others. A retry writes the same bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
from highdicom import sr
from pydicom import Dataset
from pydicom.uid import CTImageStorage

from orchestrator import __version__
from orchestrator.dicom.objects.masks import EncodedFrames, NonEmptySegment, encode_frames, non_empty_segments
from orchestrator.dicom.objects.provenance import Clock, DerivedUids
from orchestrator.dicom.objects.references import predecessor_item
from orchestrator.dicom.objects.rules import check_object, check_set
from orchestrator.dicom.objects.storage import store, with_syntax
from orchestrator.dicom.objects.uid import derive_uid
from orchestrator.dicom.objects.write_options import WriteOptions
from orchestrator.dicom.presentation.key_image import key_images
from orchestrator.dicom.presentation.key_object import key_object
from orchestrator.dicom.presentation.presentation_state import presentation_states
from orchestrator.dicom.read.grid import Grid
from orchestrator.dicom.result.grid_result import GridResult
from orchestrator.dicom.result.laterality import check_sides
from orchestrator.dicom.result.source_grid import SourceGrid
from orchestrator.dicom.seg.parametric_map import parametric_maps
from orchestrator.dicom.seg.segmentation import segmentation
from orchestrator.dicom.sr.report import report
from orchestrator.domain.checks import check_result
from orchestrator.domain.errors import InputFault, InvalidResult, UnsupportedInput
from orchestrator.domain.model import Empty, ModelDescription
from orchestrator.domain.records import JobRecord, ObjectKind, ObjectRecord
from orchestrator.domain.result import Result
from orchestrator.domain.series import StudyIdentity
from orchestrator.domain.urgency import WITHOUT_URGENCY, urgency_rank


def write_objects(
    findings: Sequence[tuple[Grid, Result]],
    *,
    job: JobRecord,
    model: ModelDescription,
    folder: Path,
    options: WriteOptions,
    identity: StudyIdentity | None = None,
    predecessor: ObjectRecord | None = None,
) -> tuple[ObjectRecord, ...]:
    """Write the objects of a job, each durably to ``folder/<SOP Instance UID>.dcm``; return their records.

    There is one SEG per grid with voxels, one SR per job, maps, and the other kinds that the options select.
    UIDs, dates and bytes depend only on job and content.
    identity: patient and study as the archive has them now; it overrides the source.
    predecessor: the report of the result that this one replaces; the new report names it.
    Raises InvalidResult (the result does not fit its grid, a laterality contradicts the images, an empty result of a
    model that does not allow it), UnsupportedInput (a result of maps only on images that cannot have maps),
    ConformanceError.
    """
    findings = _most_urgent_first(findings)
    sources = [SourceGrid.read(number, grid, identity) for number, (grid, _) in enumerate(findings, 1)]
    masks = [_check_segments(source, result) for source, (_, result) in zip(sources, findings, strict=True)]
    encodings = [encode_frames(segments, labelmap=options.label_map) if segments else None for segments in masks]
    results = [result for _, result in findings]
    uids = DerivedUids(job.key, _content_digest(sources, results, encodings, model, options, predecessor))
    clock = Clock.of(job.created_at, str(sources[0].header.get("TimezoneOffsetFromUTC") or ""))
    segs = [
        segmentation(source, segments, frames, model=model, clock=clock, uids=uids) if frames else None
        for source, segments, frames in zip(sources, masks, encodings, strict=True)
    ]
    maps = [
        tuple(parametric_maps(source, result.maps, model=model, clock=clock, uids=uids))
        for source, result in zip(sources, results, strict=True)
    ]
    grid_results = [GridResult(*parts) for parts in zip(sources, results, masks, segs, maps, strict=True)]
    _refuse_empty(grid_results, model)
    _refuse_maps_without_object(grid_results)
    document = report(grid_results, model=model, clock=clock, uids=uids, comprehensive_3d=options.comprehensive_3d)
    if predecessor is not None:
        document.PredecessorDocumentsSequence = [predecessor_item(predecessor)]
    objects = [
        *(grid_result.seg for grid_result in grid_results if grid_result.seg is not None),
        *chain(*maps),
        document,
    ]
    for dataset in objects:
        check_object(dataset, sources[0].modules)
    check_set(objects)
    records = tuple(_store(dataset, job.key, folder, options) for dataset in objects)
    extra = _extra_objects(grid_results, [each.path for each in records], options, model=model, clock=clock, uids=uids)
    for kind, dataset in extra:
        check_object(dataset, sources[0].modules)
        records += (_store(dataset, job.key, folder, options, kind),)
    return records


def _extra_objects(
    grid_results: Sequence[GridResult], paths: Sequence[Path], options: WriteOptions, **context: Any
) -> Iterator[tuple[ObjectKind, Dataset]]:
    """Yield the additional objects that the options select; they show the content of the SEG and SR files."""
    if ObjectKind.SC in options.objects:
        yield from ((ObjectKind.SC, image) for image in key_images(grid_results, paths, **context))
    if ObjectKind.KO in options.objects and (selection := key_object(grid_results, **context)) is not None:
        yield ObjectKind.KO, selection
    if ObjectKind.PR in options.objects:
        yield from ((ObjectKind.PR, state) for state in presentation_states(grid_results, **context))


def _store(
    dataset: Dataset, job_key: str, folder: Path, options: WriteOptions, kind: ObjectKind | None = None
) -> ObjectRecord:
    return store(with_syntax(dataset, options.syntax.uid), job_key, folder, options.form, kind)


def prewarm() -> None:
    """Load highdicom's tables of the standard, which would delay the first object of a process by half a second."""
    image = sr.SourceImageForRegion(CTImageStorage, derive_uid("prewarm"))
    sr.ImageRegion(sr.GraphicTypeValues.POINT, np.zeros((1, 2)), image)


def _most_urgent_first(findings: Sequence[tuple[Grid, Result]]) -> list[tuple[Grid, Result]]:
    """Return the results in the order of their most urgent finding, each with its most urgent finding first."""
    ordered = [
        (grid, replace(result, findings=tuple(sorted(result.findings, key=urgency_rank)))) for grid, result in findings
    ]
    return sorted(ordered, key=lambda pair: min(map(urgency_rank, pair[1].findings), default=WITHOUT_URGENCY))


def _check_segments(source: SourceGrid, result: Result) -> tuple[NonEmptySegment, ...]:
    slices, rows, columns = source.grid.shape[:3]
    check_result(result, (slices, rows, columns))
    segments = non_empty_segments(result.segments)
    check_sides(source, segments, result.findings)
    return segments


def _refuse_empty(grid_results: Sequence[GridResult], model: ModelDescription) -> None:
    """Refuse a negative result of a model whose manifest does not allow it."""
    if model.empty is not Empty.NEGATIVE and all(grid_result.is_negative for grid_result in grid_results):
        raise InvalidResult(
            f"{model.name} found nothing, and its manifest does not allow an empty result; "
            'set empty = "negative" in the manifest if an empty result is valid'
        )


def _refuse_maps_without_object(grid_results: Sequence[GridResult]) -> None:
    """Refuse a result of maps only if no map can be written; beside other results the SR states the lack."""
    if all(grid_result.is_maps_only and not grid_result.maps for grid_result in grid_results):
        raise UnsupportedInput(
            InputFault.NO_GEOMETRY,
            "the images lack orientation or pixel size, so no map can be written",
        )


def _content_digest(
    sources: Sequence[SourceGrid],
    results: Sequence[Result],
    encodings: Sequence[EncodedFrames | None],
    model: ModelDescription,
    options: WriteOptions,
    predecessor: ObjectRecord | None,
) -> str:
    """Return a digest of all inputs of the objects, so that a UID never has two contents."""
    content = hashlib.sha256()
    software = [__version__, pydicom.__version__, highdicom.__version__]
    content.update(_canonical([software, options.uid_facts, model]))
    if predecessor is not None:
        content.update(predecessor.sop_uid.encode())
    for source, result, frames in zip(sources, results, encodings, strict=True):
        images = [(frame.sop_uid, frame.frame) for frame in source.grid.frames]
        geometry = [source.number, images, source.frame_of_reference, source.grid.affine, source.grid.positions]
        content.update(str(source.grid.count).encode())
        content.update(_canonical([source.modules.to_json_dict(), source.sides.to_json_dict(), geometry]))
        content.update(_canonical([_segments(result), result.findings, result.measurements, result.notes]))
        for heat in result.maps:
            content.update(_canonical([heat.name, heat.unit, heat.quantity, heat.range]))
            content.update(np.ascontiguousarray(heat.values, dtype="<f4").data)
        if frames is not None:
            content.update(_canonical(frames.contents))
            content.update(frames.pixels)
    return content.hexdigest()


def _segments(result: Result) -> list[list[Any]]:
    """Return the description of the segments; their masks are in the encoded frames."""
    return [
        [segment.label, segment.type, segment.category, segment.anatomy, segment.laterality, segment.colour]
        for segment in result.segments
    ]


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain).encode()


def _plain(value: Any) -> object:
    if isinstance(value, np.ndarray | np.generic):
        return list(np.atleast_1d(value).tolist())
    if hasattr(value, "__dataclass_fields__"):
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    return dict(value)
