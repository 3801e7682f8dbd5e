"""A Result becomes DICOM objects in a folder: SEG, maps and SR, checked, durable, the same bytes at every attempt."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
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
from orchestrator.dicom.objects.masks import DrawnSegment, EncodedFrames, drawn, encode
from orchestrator.dicom.objects.provenance import Clock, Uids
from orchestrator.dicom.objects.references import predecessor_item
from orchestrator.dicom.objects.rules import check_object, check_set
from orchestrator.dicom.objects.storage import in_syntax, store
from orchestrator.dicom.objects.uid import derived_uid
from orchestrator.dicom.objects.write_options import WriteOptions
from orchestrator.dicom.presentation.key_image import key_images
from orchestrator.dicom.presentation.key_object import key_object
from orchestrator.dicom.presentation.presentation_state import presentation_states
from orchestrator.dicom.read.grid import Grid
from orchestrator.dicom.result.grid_result import Answer
from orchestrator.dicom.result.laterality import check_sides
from orchestrator.dicom.result.source import Source
from orchestrator.dicom.seg.parametric_map import parametric_maps
from orchestrator.dicom.seg.segmentation import segmentation
from orchestrator.dicom.sr.report import report
from orchestrator.domain.checks import check_result
from orchestrator.domain.errors import InputFault, InvalidResult, UnsupportedInput
from orchestrator.domain.model import Empty, ModelDescription
from orchestrator.domain.records import JobRecord, ObjectKind, ObjectRecord
from orchestrator.domain.result import Result
from orchestrator.domain.series import StudyIdentity


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
    """Return the objects of a job, each a file ``folder/<SOP Instance UID>.dcm`` that survives a crash.

    One SEG per grid whose segments have voxels, one SR per job, and of the other kinds what the options name.
    UIDs, dates and bytes follow from the job and the content. ``identity``, the study as the archive holds it
    now, takes the place of the source's.
    The report names ``predecessor``, the report of the result that this one follows.
    Raises InvalidResult (not a Result on its grid, a side that contradicts the images, nothing found by
    a model that must find something), UnsupportedInput (images that no map can be laid on, and nothing but maps)
    and ConformanceError.
    """
    sources = [Source.read(number, grid, identity) for number, (grid, _) in enumerate(findings, 1)]
    masks = [_checked(source, result) for source, (_, result) in zip(sources, findings, strict=True)]
    encoded = [encode(segments, labelmap=options.label_map) if segments else None for segments in masks]
    results = [result for _, result in findings]
    uids = Uids(job.key, _content_digest(sources, results, encoded, model, options, predecessor))
    clock = Clock.of(job.created_at, str(sources[0].header.get("TimezoneOffsetFromUTC") or ""))
    segs = [
        segmentation(source, segments, frames, model=model, clock=clock, uids=uids) if frames else None
        for source, segments, frames in zip(sources, masks, encoded, strict=True)
    ]
    maps = [
        tuple(parametric_maps(source, result.maps, model=model, clock=clock, uids=uids))
        for source, result in zip(sources, results, strict=True)
    ]
    answers = [Answer(*parts) for parts in zip(sources, results, masks, segs, maps, strict=True)]
    _refuse_empty(answers, model)
    _refuse_unwritable(answers)
    document = report(answers, model=model, clock=clock, uids=uids, comprehensive_3d=options.comprehensive_3d)
    if predecessor is not None:
        document.PredecessorDocumentsSequence = [predecessor_item(predecessor)]
    objects = [*(answer.seg for answer in answers if answer.seg is not None), *chain(*maps), document]
    for written in objects:
        check_object(written, sources[0].modules)
    check_set(objects)
    kept = tuple(store(in_syntax(written, options.syntax.uid), job.key, folder, options.form) for written in objects)
    shown = _shown(answers, [record.path for record in kept], options, model=model, clock=clock, uids=uids)
    return (*kept, *(_keep(kind, written, sources[0], job.key, folder, options) for kind, written in shown))


def _shown(
    answers: Sequence[Answer], written: Sequence[Path], options: WriteOptions, **told: Any
) -> Iterator[tuple[ObjectKind, Dataset]]:
    """Yield the further objects that somebody gets; they show what SEG and SR say, read from their files."""
    if ObjectKind.SC in options.objects:
        yield from ((ObjectKind.SC, image) for image in key_images(answers, written, **told))
    if ObjectKind.KO in options.objects and (listed := key_object(answers, **told)) is not None:
        yield ObjectKind.KO, listed
    if ObjectKind.PR in options.objects:
        yield from ((ObjectKind.PR, state) for state in presentation_states(answers, **told))


def _keep(
    kind: ObjectKind, written: Dataset, source: Source, job_key: str, folder: Path, options: WriteOptions
) -> ObjectRecord:
    check_object(written, source.modules)
    return store(in_syntax(written, options.syntax.uid), job_key, folder, options.form, kind)


def prewarm() -> None:
    """Load what the first object of a process would wait half a second for: highdicom's tables of the standard."""
    image = sr.SourceImageForRegion(CTImageStorage, derived_uid("prewarm"))
    sr.ImageRegion(sr.GraphicTypeValues.POINT, np.zeros((1, 2)), image)


def _checked(source: Source, result: Result) -> tuple[DrawnSegment, ...]:
    slices, rows, columns = source.grid.shape[:3]
    check_result(result, (slices, rows, columns))
    segments = drawn(result.segments)
    check_sides(source, segments, result.findings)
    return segments


def _refuse_empty(answers: Sequence[Answer], model: ModelDescription) -> None:
    """Refuse a negative answer of a model that does not say that it may have none."""
    if model.empty is not Empty.NEGATIVE and all(answer.is_negative for answer in answers):
        raise InvalidResult(
            f"{model.name} found nothing, and its manifest does not call that a negative result; "
            'set empty = "negative" where finding nothing is an answer'
        )


def _refuse_unwritable(answers: Sequence[Answer]) -> None:
    """Refuse maps that no object can hold where nothing else was said; beside other things the SR says so."""
    if all(answer.gives_maps_only and not answer.maps for answer in answers):
        raise UnsupportedInput(
            InputFault.NO_GEOMETRY,
            "a map needs images that say where they lie, or how they are turned and how large their pixels are",
        )


def _content_digest(
    sources: Sequence[Source],
    results: Sequence[Result],
    encoded: Sequence[EncodedFrames | None],
    model: ModelDescription,
    options: WriteOptions,
    predecessor: ObjectRecord | None,
) -> str:
    """Return a digest over all that shapes the objects: one UID never carries two contents."""
    content = hashlib.sha256()
    software = [__version__, pydicom.__version__, highdicom.__version__]
    content.update(_canonical([software, options.shaping, model]))
    if predecessor is not None:
        content.update(predecessor.sop_uid.encode())
    for source, result, frames in zip(sources, results, encoded, strict=True):
        content.update(_canonical([source.modules.to_json_dict(), source.sides.to_json_dict(), _place(source)]))
        content.update(_canonical([_segments(result), result.findings, result.measurements, result.notes]))
        for heat in result.maps:
            content.update(_canonical([heat.name, heat.unit, heat.quantity, heat.range]))
            content.update(np.ascontiguousarray(heat.values, dtype="<f4").data)
        if frames is not None:
            content.update(_canonical(frames.shown))
            content.update(frames.pixels)
    return content.hexdigest()


def _place(source: Source) -> list[Any]:
    images = [(frame.sop_uid, frame.frame) for frame in source.grid.frames]
    return [source.number, images, source.frame_of_reference, source.grid.affine, source.grid.positions]


def _segments(result: Result) -> list[list[Any]]:
    """Return what is said of the segments; their masks are in the encoded frames."""
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
