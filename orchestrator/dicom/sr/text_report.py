"""Builds the report of a result without any place in the images: a local title instead of TID 1500, text first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from highdicom import sr
from highdicom.sr import RelationshipTypeValues as Relation
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from orchestrator.dicom.objects import concepts as own
from orchestrator.dicom.objects.concepts import coded
from orchestrator.dicom.read.grid import FrameReference
from orchestrator.dicom.result.grid_result import GridResult, best_scored, omission_notes
from orchestrator.dicom.sr.measurement_groups import round_to_ds
from orchestrator.domain.code import Code as DomainCode
from orchestrator.domain.result import Finding, Measurement, Presence
from orchestrator.domain.unit import shown_unit

_PRESENCE_TEXT = {
    Presence.PRESENT: "present",
    Presence.ABSENT: "no sign of it found",
    Presence.UNDETERMINED: "undetermined",
}
_NO_PLACE = "No map was written: the images lack orientation or pixel size."
UNVERIFIED_STATEMENT = "AI analysis result, not verified by a physician."
_MOST_IMAGES = 10  # images of one grid with a reference; Evidence lists all


def text_report(
    grid_results: Sequence[GridResult], context: sr.ObservationContext, algorithm: sr.AlgorithmIdentification
) -> sr.ContainerContentItem:
    """Return the root of an SR with findings and measurements of the whole images."""
    root = sr.ContainerContentItem(name=own.UNPLACED_TITLE)
    root.ContentSequence = sr.ContentSequence(
        [
            *sr.LanguageOfContentItemAndDescendants(sr.CodedConcept(*own.ENGLISH[:3])),
            *context,
            *algorithm,
            unverified_statement(),
            count_of_images(grid_results),
            *_images_read(grid_results),
            *_statements(grid_results),
        ]
    )
    return root


def unverified_statement() -> sr.ContentItem:
    """Return the sentence for viewers that show text alone: no flag tells them that a machine wrote this."""
    return _text(own.STATEMENT, UNVERIFIED_STATEMENT)


def count_of_images(grid_results: Sequence[GridResult]) -> sr.ContentItem:
    """Return the sentence that says how many of the received images the model read, and why not the others."""
    return _text(own.IMAGES_READ, str(grid_results[0].source.grid.count))


def _images_read(grid_results: Iterable[GridResult]) -> Iterator[sr.ContentItem]:
    """Yield the images that the model read: a text for every grid, references to the first few."""
    for grid_result in grid_results:
        instances = grid_result.source.instances
        count, frames = len(instances), len(grid_result.source.grid.frames)
        images = "1 image" if count == 1 else f"{count} images"
        suffix = "" if frames == count else f" ({frames} frames)"
        yield _text(own.IMAGES_READ, f"{images}{suffix} of series {grid_result.source.series_uid}.")
        for image in instances[:_MOST_IMAGES]:
            yield sr.ImageContentItem(
                name=own.IMAGES_READ,
                referenced_sop_class_uid=image.sop_class,
                referenced_sop_instance_uid=image.sop_uid,
                relationship_type=Relation.CONTAINS,
            )


def _statements(grid_results: Iterable[GridResult]) -> Iterator[sr.ContentItem]:
    for grid_result in grid_results:
        if grid_result.is_negative and not grid_result.result.findings:
            labels = ", ".join(grid_result.empty_labels)
            yield _text(own.NOTHING_FOUND, f"Nothing found{f': {labels}' if labels else ''}.")
        for finding in grid_result.result.findings:
            total = len(grid_result.source.grid.frames)
            extent = f" in {len(finding.images)} of {total} images" if finding.images else ""
            yield _text(own.STATEMENT, f"{finding.name.meaning}: {_PRESENCE_TEXT[finding.presence]}{extent}.")
            yield _finding(grid_result, finding)
            yield from (_text(codes.DCM.Comment, text) for text in omission_notes(finding))
        for measurement in grid_result.result.measurements:
            yield _number(coded(measurement.name), measurement, Relation.CONTAINS)
        yield from map_items(grid_result)


def map_items(grid_result: GridResult) -> Iterator[sr.ContentItem]:
    """Yield for each map a text about its values and a reference to its object, if there is one."""
    for number, heat in enumerate(grid_result.result.maps):
        lowest, highest = (f"{float(end):.4g}" for end in (heat.values.min(), heat.values.max()))
        unit = f" {text}" if (text := shown_unit(heat.unit)) else ""
        note = "" if grid_result.maps else f" {_NO_PLACE}"
        yield _text(own.MAP, f"{heat.name}: {lowest} to {highest}{unit}.{note}")
        for dataset in grid_result.maps[number : number + 1]:
            yield sr.ImageContentItem(
                name=own.MAP,
                referenced_sop_class_uid=dataset.SOPClassUID,
                referenced_sop_instance_uid=dataset.SOPInstanceUID,
                relationship_type=Relation.CONTAINS,
            )


def _finding(grid_result: GridResult, finding: Finding) -> sr.ContentItem:
    """Return the finding with its presence (CID 240); site, laterality, urgency and scores are below it."""
    item = sr.CodeContentItem(coded(finding.name), own.PRESENCE[finding.presence], Relation.CONTAINS)
    below = [
        *_codes(finding.site, codes.SCT.FindingSite),
        *_codes(finding.laterality, own.LATERALITY),
    ]
    if finding.urgency is not None:
        below.append(sr.CodeContentItem(own.ACTIONABLE, own.URGENCY[finding.urgency], Relation.HAS_PROPERTIES))
    if finding.score is not None:
        below.append(_num(own.SCORE, finding.score, "1", Relation.HAS_PROPERTIES))
    if finding.certainty_percent is not None:
        below.append(_num(own.CERTAINTY, finding.certainty_percent, "%", Relation.HAS_PROPERTIES))
    below += [_image_score(grid_result.frame(image.slice), image.score) for image in best_scored(finding.images)]
    if below:
        item.ContentSequence = sr.ContentSequence(below)
    return item


def _image_score(frame: FrameReference, score: float) -> sr.ContentItem:
    """Return the score of one image with a reference to the image."""
    item = _num(own.IMAGE_SCORE, score, "1", Relation.HAS_PROPERTIES)
    image = sr.SourceImageForMeasurement(frame.sop_class, frame.sop_uid, frame.numbers)
    item.ContentSequence = sr.ContentSequence([image])
    return item


def _codes(code: DomainCode | None, name: Code) -> list[sr.ContentItem]:
    return [] if code is None else [sr.CodeContentItem(name, coded(code), Relation.HAS_CONCEPT_MOD)]


def _number(name: Code, measurement: Measurement, relation: Relation) -> sr.ContentItem:
    item = _num(name, measurement.value, measurement.unit, relation)
    if measurement.method:
        method = sr.TextContentItem(own.METHOD_TEXT, measurement.method, Relation.HAS_CONCEPT_MOD)
        item.ContentSequence = sr.ContentSequence([method])
    return item


def _num(name: Code, value: float, unit: str, relation: Relation) -> sr.ContentItem:
    return sr.NumContentItem(name=name, value=round_to_ds(value), unit=own.unit(unit), relationship_type=relation)


def _text(name: Code, text: str) -> sr.TextContentItem:
    return sr.TextContentItem(name, text, Relation.CONTAINS)
