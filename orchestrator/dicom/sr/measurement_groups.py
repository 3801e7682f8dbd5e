"""Measurement groups of the report: TID 1411 and 1410 for findings with a place, TID 1501 for others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from highdicom import sr
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as PydicomCode
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage

from orchestrator.dicom.objects import concepts as own
from orchestrator.dicom.objects.concepts import coded
from orchestrator.dicom.objects.masks import NonEmptySegment
from orchestrator.dicom.objects.outline import Points, outline, polygon_area
from orchestrator.dicom.objects.provenance import DerivedUids
from orchestrator.dicom.read.grid import FrameReference
from orchestrator.dicom.result.grid_result import GridResult, best_scored, omission_notes
from orchestrator.dicom.seg.segmentation import tracking_id, tracking_uid
from orchestrator.domain import concepts
from orchestrator.domain.code import Code
from orchestrator.domain.result import Finding, Measurement, Presence, Region, Shape
from orchestrator.domain.urgency import WITHOUT_URGENCY, urgency_rank

Group = (
    sr.VolumetricROIMeasurementsAndQualitativeEvaluations
    | sr.PlanarROIMeasurementsAndQualitativeEvaluations
    | sr.MeasurementsAndQualitativeEvaluations
)


def placed_groups(
    grid_result: GridResult, algorithm: sr.AlgorithmIdentification, uids: DerivedUids
) -> Iterator[tuple[int, Group]]:
    """Yield the measurement groups of one grid that a viewer can draw, each with the urgency rank of its finding."""
    for segment in grid_result.segments:
        uid, identifier = (
            tracking_uid(grid_result.source, segment, uids),
            tracking_id(grid_result.source, segment.segment.label),
        )
        tracking = _tracking(uid, identifier)
        rank = min(map(urgency_rank, grid_result.findings_of(segment)), default=WITHOUT_URGENCY)
        yield rank, _volumetric(grid_result, segment, tracking, algorithm)
        yield rank, _cross_section(grid_result, segment, tracking, algorithm)
    for number, finding in enumerate(grid_result.result.findings, 1):
        for group in _regions(grid_result, finding, number, algorithm, uids):
            yield urgency_rank(finding), group


def unplaced_groups(
    grid_result: GridResult, algorithm: sr.AlgorithmIdentification, uids: DerivedUids
) -> Iterator[tuple[int, Group]]:
    """Yield a group for each finding without a place, with its urgency rank."""
    for number, finding in enumerate(grid_result.unplaced_findings, 1):
        yield urgency_rank(finding), _unplaced(grid_result, finding, number, algorithm, uids)


def series_groups(grid_result: GridResult, algorithm: sr.AlgorithmIdentification, uids: DerivedUids) -> Iterator[Group]:
    """Yield the group of the measurements of the whole series, nothing without such measurements."""
    measurements = [measurement for measurement in grid_result.result.measurements if measurement.segment is None]
    if measurements:
        yield _series_group(grid_result, measurements, algorithm, uids)


def _volumetric(
    grid_result: GridResult,
    non_empty: NonEmptySegment,
    tracking: sr.TrackingIdentifier,
    algorithm: sr.AlgorithmIdentification,
) -> Group:
    """Return the TID 1411 group of a segment: its volume (voxels x spacing), measurements and findings."""
    seg, segment, findings = grid_result.seg, non_empty.segment, grid_result.findings_of(non_empty)
    assert seg is not None
    volume = grid_result.source.millilitres(non_empty.voxels)
    volumes = [] if volume is None else [_number(coded(concepts.VOLUME), volume, own.MILLILITRE)]
    measurements = [
        measurement for measurement in grid_result.result.measurements if measurement.segment == segment.label
    ]
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking,
        referenced_segment=sr.ReferencedSegment(
            sop_class_uid=seg.SOPClassUID,
            sop_instance_uid=seg.SOPInstanceUID,
            segment_number=non_empty.number,
            source_series=sr.SourceSeriesForSegmentation(grid_result.source.series_uid),
        ),
        finding_type=coded(segment.type),
        finding_sites=_sites(_segment_site(non_empty), *((each.site, each.laterality) for each in findings)),
        algorithm_id=algorithm,
        measurements=[*volumes, *map(_measurement, measurements), *_scores(findings)],
        qualitative_evaluations=[*_side(*_segment_site(non_empty)), *_evaluations(findings)],
    )


def _cross_section(
    grid_result: GridResult,
    non_empty: NonEmptySegment,
    tracking: sr.TrackingIdentifier,
    algorithm: sr.AlgorithmIdentification,
) -> Group:
    """Return the TID 1410 group of a segment: outline and area of its largest cross-section."""
    index = int(np.argmax(non_empty.counts))
    points = outline(non_empty.mask[index])
    area = grid_result.source.square_millimetres(polygon_area(points))
    areas = [] if area is None else [_number(coded(concepts.AREA), area, own.SQUARE_MILLIMETRE)]
    group = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking,
        referenced_region=_image_region(grid_result.frame(index), points, Shape.POLYGON),
        finding_type=coded(non_empty.segment.type),
        finding_sites=_sites(_segment_site(non_empty)),
        algorithm_id=algorithm,
        measurements=areas,
    )
    return _with_comments(group, _image_note(grid_result.frame(index)))


def _regions(
    grid_result: GridResult, finding: Finding, number: int, algorithm: sr.AlgorithmIdentification, uids: DerivedUids
) -> Iterator[Group]:
    """Yield a TID 1410 group for each region; the first, best region also has the values of the whole finding."""
    for rank, region in enumerate(best_scored(finding.regions), 1):
        whole = [finding] if rank == 1 and not grid_result.is_shown(finding) else []
        group = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=_tracking(
                uids.of("tracking", str(grid_result.source.number), "region", str(number), str(rank)),
                tracking_id(grid_result.source, f"{region.label or finding.name.meaning} {rank}"),
            ),
            referenced_region=_image_region(grid_result.frame(region.slice), np.asarray(region.points), region.shape),
            finding_type=_finding_type(finding),
            finding_sites=_sites((finding.site, finding.laterality)),
            algorithm_id=algorithm,
            measurements=[*_region_score(region), *_scores(whole)],
            qualitative_evaluations=_evaluations(whole),
        )
        notes = _image_note(grid_result.frame(region.slice))
        yield _with_comments(group, [*notes, *omission_notes(finding)] if rank == 1 else notes)


def _unplaced(
    grid_result: GridResult, finding: Finding, number: int, algorithm: sr.AlgorithmIdentification, uids: DerivedUids
) -> Group:
    """Return the TID 1501 group of a finding without a place."""
    extent = "whole images" if finding.images else "whole series"
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(
            uids.of("tracking", str(grid_result.source.number), "finding", str(number)),
            tracking_id(grid_result.source, f"{finding.name.meaning} ({extent})"),
        ),
        finding_type=_finding_type(finding),
        finding_sites=_sites((finding.site, finding.laterality)),
        algorithm_id=algorithm,
        measurements=[*_scores([finding]), *_image_scores(grid_result, finding)],
        qualitative_evaluations=_evaluations([finding]),
    )
    return _with_comments(group, omission_notes(finding))


def _series_group(
    grid_result: GridResult,
    measurements: Iterable[Measurement],
    algorithm: sr.AlgorithmIdentification,
    uids: DerivedUids,
) -> Group:
    """Return the TID 1501 group of the measurements of the whole series."""
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(
            uids.of("tracking", str(grid_result.source.number), "series"),
            tracking_id(grid_result.source, "Whole series"),
        ),
        algorithm_id=algorithm,
        measurements=[_measurement(measurement) for measurement in measurements],
    )


def _tracking(uid: str, identifier: str) -> sr.TrackingIdentifier:
    return sr.TrackingIdentifier(uid=uid, identifier=identifier)


def _finding_type(finding: Finding) -> PydicomCode | None:
    """Return the Finding (121071, DCM); None for an absent one: a viewer that shows only this looks positive."""
    return None if finding.presence is Presence.ABSENT else coded(finding.name)


def _evaluations(findings: Iterable[Finding]) -> list[sr.QualitativeEvaluation]:
    """Return presence (CID 240), urgency (CID 7035) and laterality of each finding."""
    evaluations = []
    for finding in findings:
        evaluations.append(sr.QualitativeEvaluation(coded(finding.name), own.PRESENCE[finding.presence]))
        if finding.urgency is not None:
            evaluations.append(sr.QualitativeEvaluation(own.ACTIONABLE, own.URGENCY[finding.urgency]))
        evaluations.extend(_side(finding.site, finding.laterality))
    return evaluations


def _scores(findings: Iterable[Finding]) -> list[sr.Measurement]:
    """Return score and certainty of each finding; a raw model output is a score, not a probability."""
    scores = []
    for finding in findings:
        if finding.score is not None:
            scores.append(_number(own.SCORE, finding.score, own.NO_UNITS))
        if finding.certainty_percent is not None:
            scores.append(_number(own.CERTAINTY, finding.certainty_percent, own.PERCENT))
    return scores


def _image_scores(grid_result: GridResult, finding: Finding) -> Iterator[sr.Measurement]:
    """Yield the score of each image as a measurement that refers to it (TID 300, TID 320), without coordinates."""
    for image in best_scored(finding.images):
        frame = grid_result.frame(image.slice)
        source = sr.SourceImageForMeasurement(frame.sop_class, frame.sop_uid, frame.numbers)
        yield sr.Measurement(own.IMAGE_SCORE, round_to_ds(image.score), own.NO_UNITS, referenced_images=[source])


def _region_score(region: Region) -> list[sr.Measurement]:
    return [] if region.score is None else [_number(own.REGION_SCORE, region.score, own.NO_UNITS)]


def _measurement(measurement: Measurement) -> sr.Measurement:
    item = _number(coded(measurement.name), measurement.value, own.unit(measurement.unit))
    if measurement.method:
        comment = sr.TextContentItem(own.METHOD_TEXT, measurement.method, sr.RelationshipTypeValues.HAS_CONCEPT_MOD)
        item[0].ContentSequence = sr.ContentSequence([*item[0].get("ContentSequence", []), comment])
    return item


def _number(name: PydicomCode, value: float, unit: PydicomCode) -> sr.Measurement:
    return sr.Measurement(name, round_to_ds(value), unit)


def _segment_site(non_empty: NonEmptySegment) -> tuple[Code | None, Code | None]:
    """Return site and laterality of a segment: its anatomy, or its type if this is an anatomical structure."""
    segment = non_empty.segment
    is_anatomy = segment.category == concepts.ANATOMICAL_STRUCTURE
    return segment.anatomy or (segment.type if is_anatomy else None), segment.laterality


def _sites(*places: tuple[Code | None, Code | None]) -> list[sr.FindingSite]:
    """Return each Finding Site once, with its laterality (CID 244)."""
    return [
        sr.FindingSite(coded(site), None if laterality is None else coded(laterality))
        for site, laterality in dict.fromkeys(places)
        if site is not None
    ]


def _side(site: Code | None, laterality: Code | None) -> list[sr.QualitativeEvaluation]:
    """Return the laterality as a separate evaluation if there is no site that could have it."""
    if site is not None or laterality is None:
        return []
    return [sr.QualitativeEvaluation(own.LATERALITY, coded(laterality))]


def _image_region(frame: FrameReference, points: Points, shape: Shape) -> sr.ImageRegion:
    """Return an SCOORD: (column, row) from the upper left corner of the first pixel (PS3.3 C.18.6.1.2)."""
    corners: Sequence[Sequence[float]] | Points = points[:, ::-1] + 0.5
    if shape is Shape.POLYGON:
        corners = np.vstack([corners, corners[:1]])
    region = sr.ImageRegion(
        graphic_type=sr.GraphicTypeValues.POINT if shape is Shape.POINT else sr.GraphicTypeValues.POLYLINE,
        graphic_data=np.asarray(corners),
        source_image=sr.SourceImageForRegion(
            referenced_sop_class_uid=CTImageStorage if frame.numbers is None else EnhancedCTImageStorage,
            referenced_sop_instance_uid=frame.sop_uid,
            referenced_frame_numbers=frame.numbers,
        ),
    )
    # highdicom finds out whether the class has frames by tables that hold no retired class
    region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPClassUID = frame.sop_class
    return region


def _image_note(frame: FrameReference) -> list[str]:
    """Return a sentence with the number of the image, for people who read the report beside a PACS."""
    return [f"Marked on {frame.name}."] if frame.name else []


def _with_comments(group: Group, texts: Iterable[str]) -> Group:
    """Add the sentences to the group; return it."""
    for text in texts:
        group[0].ContentSequence.append(sr.TextContentItem(codes.DCM.Comment, text, sr.RelationshipTypeValues.CONTAINS))
    return group


def round_to_ds(value: float) -> float:
    """Return the number rounded so that a decimal string of 16 characters represents it exactly (PS3.5 6.2, DS)."""
    return float(f"{float(value):.9g}")
