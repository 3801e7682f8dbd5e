"""Measurement groups of the SR: TID 1411 and 1410 for what has a place, TID 1501 for what has none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from highdicom import sr
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as PydicomCode

from orchestrator.dicom.objects import concepts as own
from orchestrator.dicom.objects.concepts import coded
from orchestrator.dicom.objects.masks import DrawnSegment
from orchestrator.dicom.objects.outline import Points, outline, polygon_area
from orchestrator.dicom.objects.provenance import Uids
from orchestrator.dicom.read.grid import FrameReference
from orchestrator.dicom.result.grid_result import Answer, best, left_out
from orchestrator.dicom.seg.segmentation import tracking_id, tracking_uid
from orchestrator.domain import concepts
from orchestrator.domain.code import Code
from orchestrator.domain.result import Finding, Measurement, Presence, Region, Shape

Group = (
    sr.VolumetricROIMeasurementsAndQualitativeEvaluations
    | sr.PlanarROIMeasurementsAndQualitativeEvaluations
    | sr.MeasurementsAndQualitativeEvaluations
)


def placed_groups(answer: Answer, algorithm: sr.AlgorithmIdentification, uids: Uids) -> Iterator[Group]:
    """Yield the measurement groups of one grid that can be drawn."""
    for segment in answer.segments:
        uid, identifier = tracking_uid(answer.source, segment, uids), tracking_id(answer.source, segment.segment.label)
        tracking = _tracking(uid, identifier)
        yield _volumetric(answer, segment, tracking, algorithm)
        yield _cross_section(answer, segment, tracking, algorithm)
    for number, finding in enumerate(answer.result.findings, 1):
        yield from _regions(answer, finding, number, algorithm, uids)


def placeless_groups(answer: Answer, algorithm: sr.AlgorithmIdentification, uids: Uids) -> Iterator[Group]:
    """Yield a group for each finding on the images as a whole."""
    for number, finding in enumerate(answer.placeless_findings, 1):
        yield _placeless(answer, finding, number, algorithm, uids)


def series_groups(answer: Answer, algorithm: sr.AlgorithmIdentification, uids: Uids) -> Iterator[Group]:
    """Yield the group of what was measured on the images as a whole, nothing where nothing was."""
    of_series = [measurement for measurement in answer.result.measurements if measurement.segment is None]
    if of_series:
        yield _of_series(answer, of_series, algorithm, uids)


def _volumetric(
    answer: Answer, drawn: DrawnSegment, tracking: sr.TrackingIdentifier, algorithm: sr.AlgorithmIdentification
) -> Group:
    """Return the TID 1411 group of a segment: its volume as voxels x spacing of the SEG, and what it shows."""
    seg, segment, findings = answer.seg, drawn.segment, answer.findings_of(drawn)
    assert seg is not None
    volume = answer.source.millilitres(drawn.voxels)
    measured = [] if volume is None else [_number(coded(concepts.VOLUME), volume, own.MILLILITRE)]
    given = [measurement for measurement in answer.result.measurements if measurement.segment == segment.label]
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking,
        referenced_segment=sr.ReferencedSegment(
            sop_class_uid=seg.SOPClassUID,
            sop_instance_uid=seg.SOPInstanceUID,
            segment_number=drawn.number,
            source_series=sr.SourceSeriesForSegmentation(answer.source.series_uid),
        ),
        finding_type=coded(segment.type),
        finding_sites=_sites(_segment_site(drawn), *((each.site, each.laterality) for each in findings)),
        algorithm_id=algorithm,
        measurements=[*measured, *map(_measurement, given), *_scores(findings)],
        qualitative_evaluations=[*_side(*_segment_site(drawn)), *_evaluations(findings)],
    )


def _cross_section(
    answer: Answer, drawn: DrawnSegment, tracking: sr.TrackingIdentifier, algorithm: sr.AlgorithmIdentification
) -> Group:
    """Return the TID 1410 group that draws a segment: the outline of its largest cross-section and its area."""
    index = int(np.argmax(drawn.counts))
    points = outline(drawn.mask[index])
    area = answer.source.square_millimetres(polygon_area(points))
    measured = [] if area is None else [_number(coded(concepts.AREA), area, own.SQUARE_MILLIMETRE)]
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking,
        referenced_region=_image_region(answer.frame(index), points, Shape.POLYGON),
        finding_type=coded(drawn.segment.type),
        finding_sites=_sites(_segment_site(drawn)),
        algorithm_id=algorithm,
        measurements=measured,
    )


def _regions(
    answer: Answer, finding: Finding, number: int, algorithm: sr.AlgorithmIdentification, uids: Uids
) -> Iterator[Group]:
    """Yield a TID 1410 group for each region; what is said of the whole finding stands with the best one."""
    chosen = best(finding.regions)
    for rank, region in enumerate(chosen, 1):
        whole = [finding] if rank == 1 and not answer.is_shown(finding) else []
        group = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=_tracking(
                uids.of("tracking", str(answer.source.number), "region", str(number), str(rank)),
                tracking_id(answer.source, f"{region.label or finding.name.meaning} {rank}"),
            ),
            referenced_region=_image_region(answer.frame(region.slice), np.asarray(region.points), region.shape),
            finding_type=_finding_type(finding),
            finding_sites=_sites((finding.site, finding.laterality)),
            algorithm_id=algorithm,
            measurements=[*_region_score(region), *_scores(whole)],
            qualitative_evaluations=_evaluations(whole),
        )
        yield _commented(group, finding) if rank == 1 else group


def _placeless(
    answer: Answer, finding: Finding, number: int, algorithm: sr.AlgorithmIdentification, uids: Uids
) -> Group:
    """Return the TID 1501 group of a finding that has no place, beside others that have one."""
    extent = "whole images" if finding.images else "whole series"
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(
            uids.of("tracking", str(answer.source.number), "finding", str(number)),
            tracking_id(answer.source, f"{finding.name.meaning} ({extent})"),
        ),
        finding_type=_finding_type(finding),
        finding_sites=_sites((finding.site, finding.laterality)),
        algorithm_id=algorithm,
        measurements=[*_scores([finding]), *_image_scores(answer, finding)],
        qualitative_evaluations=_evaluations([finding]),
    )
    return _commented(group, finding)


def _of_series(
    answer: Answer, measurements: Iterable[Measurement], algorithm: sr.AlgorithmIdentification, uids: Uids
) -> Group:
    """Return the TID 1501 group of what was measured on the series as a whole."""
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(
            uids.of("tracking", str(answer.source.number), "series"), tracking_id(answer.source, "Whole series")
        ),
        algorithm_id=algorithm,
        measurements=[_measurement(measurement) for measurement in measurements],
    )


def _tracking(uid: str, identifier: str) -> sr.TrackingIdentifier:
    return sr.TrackingIdentifier(uid=uid, identifier=identifier)


def _finding_type(finding: Finding) -> PydicomCode | None:
    """Return the Finding (121071, DCM): none beside "absent", a viewer that shows only it would read a positive."""
    return None if finding.presence is Presence.ABSENT else coded(finding.name)


def _evaluations(findings: Iterable[Finding]) -> list[sr.QualitativeEvaluation]:
    """Return presence (CID 240) and urgency (CID 7035) of each finding."""
    said = []
    for finding in findings:
        said.append(sr.QualitativeEvaluation(coded(finding.name), own.PRESENCE[finding.presence]))
        if finding.urgency is not None:
            said.append(sr.QualitativeEvaluation(own.ACTIONABLE, own.URGENCY[finding.urgency]))
        said.extend(_side(finding.site, finding.laterality))
    return said


def _scores(findings: Iterable[Finding]) -> list[sr.Measurement]:
    """Return score and certainty of each finding; a raw output is a score, never a probability."""
    said = []
    for finding in findings:
        if finding.score is not None:
            said.append(_number(own.SCORE, finding.score, own.NO_UNITS))
        if finding.certainty_percent is not None:
            said.append(_number(own.CERTAINTY, finding.certainty_percent, own.PERCENT))
    return said


def _image_scores(answer: Answer, finding: Finding) -> Iterator[sr.Measurement]:
    """Yield the score of each image as a measurement inferred from it (TID 300, TID 320): no coordinate is claimed."""
    for image in best(finding.images):
        frame = answer.frame(image.slice)
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


def _segment_site(drawn: DrawnSegment) -> tuple[Code | None, Code | None]:
    """Return site and side of a segment: its anatomy, or its type where that is an anatomical structure."""
    segment = drawn.segment
    is_anatomy = segment.category == concepts.ANATOMICAL_STRUCTURE
    return segment.anatomy or (segment.type if is_anatomy else None), segment.laterality


def _sites(*places: tuple[Code | None, Code | None]) -> list[sr.FindingSite]:
    """Return each Finding Site once, with its side (CID 244)."""
    return [
        sr.FindingSite(coded(site), None if laterality is None else coded(laterality))
        for site, laterality in dict.fromkeys(places)
        if site is not None
    ]


def _side(site: Code | None, laterality: Code | None) -> list[sr.QualitativeEvaluation]:
    """Return the side as a statement of its own where no site carries it."""
    if site is not None or laterality is None:
        return []
    return [sr.QualitativeEvaluation(own.LATERALITY, coded(laterality))]


def _image_region(frame: FrameReference, points: Points, shape: Shape) -> sr.ImageRegion:
    """Return a SCOORD: (column, row) from the upper left corner of the upper left pixel (PS3.3 C.18.6.1.2)."""
    corners: Sequence[Sequence[float]] | Points = points[:, ::-1] + 0.5
    if shape is Shape.POLYGON:
        corners = np.vstack([corners, corners[:1]])
    return sr.ImageRegion(
        graphic_type=sr.GraphicTypeValues.POINT if shape is Shape.POINT else sr.GraphicTypeValues.POLYLINE,
        graphic_data=np.asarray(corners),
        source_image=sr.SourceImageForRegion(
            referenced_sop_class_uid=frame.sop_class,
            referenced_sop_instance_uid=frame.sop_uid,
            referenced_frame_numbers=frame.numbers,
        ),
    )


def _commented(group: Group, finding: Finding) -> Group:
    """Return the group with a comment on what there is more of than is written."""
    for text in left_out(finding):
        group[0].ContentSequence.append(sr.TextContentItem(codes.DCM.Comment, text, sr.RelationshipTypeValues.CONTAINS))
    return group


def round_to_ds(value: float) -> float:
    """Return a number that a decimal string of 16 characters holds as it is (PS3.5 6.2, DS)."""
    return float(f"{float(value):.9g}")
