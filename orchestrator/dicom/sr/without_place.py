"""The SR of a result that has no place in any image: a local title, no TID 1500, its meaning in the text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from highdicom import sr
from highdicom.sr import RelationshipTypeValues as Relation
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from orchestrator.dicom.objects import concepts as own
from orchestrator.dicom.objects.concepts import coded
from orchestrator.dicom.read.grid import FrameReference
from orchestrator.dicom.result.grid_result import Answer, best, left_out
from orchestrator.dicom.sr.measurement_groups import round_to_ds
from orchestrator.domain.code import Code as DomainCode
from orchestrator.domain.result import Finding, Measurement, Presence
from orchestrator.domain.unit import shown_unit

_SAID = {
    Presence.PRESENT: "present",
    Presence.ABSENT: "no sign of it found",
    Presence.UNDETERMINED: "undetermined",
}
_NO_PLACE = "No map is written: the images say neither where they lie, nor how they are turned and how large."
UNVERIFIED_STATEMENT = "AI analysis result, not verified by a physician."
_MOST_IMAGES = 10  # of one grid that are referred to one by one; Evidence lists all


def statement(
    answers: Sequence[Answer], context: sr.ObservationContext, algorithm: sr.AlgorithmIdentification
) -> sr.ContainerContentItem:
    """Return the root of an SR that states findings and measurements of the images as a whole."""
    root = sr.ContainerContentItem(name=own.UNPLACED_TITLE)
    root.ContentSequence = sr.ContentSequence(
        [
            *sr.LanguageOfContentItemAndDescendants(sr.CodedConcept(*own.ENGLISH[:3])),
            *context,
            *algorithm,
            _text(own.STATEMENT, UNVERIFIED_STATEMENT),
            *_read(answers),
            *_said(answers),
        ]
    )
    return root


def _read(answers: Iterable[Answer]) -> Iterator[sr.ContentItem]:
    """Yield which images were read: in words for every grid, by reference for the first few."""
    for answer in answers:
        instances = answer.source.instances
        count, frames = len(instances), len(answer.source.grid.frames)
        of_frames = "" if frames == count else f" ({frames} frames)"
        yield _text(own.IMAGES_READ, f"{count} images{of_frames} of series {answer.source.series_uid}.")
        for image in instances[:_MOST_IMAGES]:
            yield sr.ImageContentItem(
                name=own.IMAGES_READ,
                referenced_sop_class_uid=image.sop_class,
                referenced_sop_instance_uid=image.sop_uid,
                relationship_type=Relation.CONTAINS,
            )


def _said(answers: Iterable[Answer]) -> Iterator[sr.ContentItem]:
    for answer in answers:
        if answer.is_negative and not answer.result.findings:
            labels = ", ".join(answer.empty_labels)
            yield _text(own.NOTHING_FOUND, f"Nothing found{f': {labels}' if labels else ''}.")
        for finding in answer.result.findings:
            shown = f" in {len(finding.images)} of {len(answer.source.grid.frames)} images" if finding.images else ""
            yield _text(own.STATEMENT, f"{finding.name.meaning}: {_SAID[finding.presence]}{shown}.")
            yield _finding(answer, finding)
            yield from (_text(codes.DCM.Comment, text) for text in left_out(finding))
        for measurement in answer.result.measurements:
            yield _number(coded(measurement.name), measurement, Relation.CONTAINS)
        yield from map_items(answer)


def map_items(answer: Answer) -> Iterator[sr.ContentItem]:
    """Yield for each map a sentence about its values and, where it is written, a reference; TID 1500 is extensible."""
    for number, heat in enumerate(answer.result.maps):
        lowest, highest = (f"{float(end):.4g}" for end in (heat.values.min(), heat.values.max()))
        unit = f" {shown}" if (shown := shown_unit(heat.unit)) else ""
        left_out = "" if answer.maps else f" {_NO_PLACE}"
        yield _text(own.MAP, f"{heat.name}: {lowest} to {highest}{unit}.{left_out}")
        for written in answer.maps[number : number + 1]:
            yield sr.ImageContentItem(
                name=own.MAP,
                referenced_sop_class_uid=written.SOPClassUID,
                referenced_sop_instance_uid=written.SOPInstanceUID,
                relationship_type=Relation.CONTAINS,
            )


def _finding(answer: Answer, finding: Finding) -> sr.ContentItem:
    """Return the disease with its presence (CID 240) and, below it, what else is said of it."""
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
    below += [_image_score(answer.frame(image.slice), image.score) for image in best(finding.images)]
    if below:
        item.ContentSequence = sr.ContentSequence(below)
    return item


def _image_score(frame: FrameReference, score: float) -> sr.ContentItem:
    """Return the score of one image, inferred from that image."""
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
